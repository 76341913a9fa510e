import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from synthassay.cohorts.phantom.acquisition import acquire, coil_shading, stored_values
from synthassay.cohorts.phantom.scene import AIR
from synthassay.cohorts.phantom.specs import STORED_MAX, DeviceModel

from .conftest import Written

IDEAL = {"manufacturer": "M", "model": "1", "blur_px": 0.0, "noise_sigma": 0.0, "gamma": 1.0, "shading": 0.0}


def device(**changes: float) -> DeviceModel:
    return DeviceModel(**{**IDEAL, **changes})  # type: ignore[arg-type]


def measured(signal: np.ndarray, of: DeviceModel, seed: int = 0) -> np.ndarray:
    return acquire(signal.astype(np.float32), of, np.random.default_rng(seed), np.random.default_rng(seed + 1))


@pytest.mark.parametrize("blur_px", [0.8, 1.5])
def test_edge_is_spread_by_the_stated_blur(blur_px: float):
    step = np.zeros((64, 64))
    step[:, 32:] = 1
    line = np.diff(measured(step, device(blur_px=blur_px))[32])  # the line spread function
    at = np.arange(len(line))
    mean = (line * at).sum() / line.sum()
    spread = np.sqrt((line * (at - mean) ** 2).sum() / line.sum())
    assert spread == pytest.approx(blur_px, rel=0.05)


def test_noise_is_rician():
    dark = measured(np.zeros((128, 128)), device(noise_sigma=0.05))
    bright = measured(np.ones((128, 128)), device(noise_sigma=0.05))
    assert dark.mean() == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.03)  # Rayleigh
    assert bright.std() == pytest.approx(0.05, rel=0.03)
    assert (dark >= 0).all()


def test_ideal_device_returns_the_scene():
    signal = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    np.testing.assert_allclose(measured(signal, device()), signal, rtol=1e-6)


def test_gamma_is_the_exponent_of_the_contrast_curve():
    np.testing.assert_allclose(measured(np.full((8, 8), 0.25), device(gamma=2.0)), 0.0625, rtol=1e-6)


def test_shading_is_smooth_and_within_its_amplitude():
    shading = coil_shading(np.random.default_rng(0), 64, 0.1)
    assert np.abs(shading - 1).max() <= 0.1 + 1e-12
    assert np.abs(np.diff(shading, axis=0)).max() < 0.02
    assert shading.std() > 0.005


def test_stored_values_come_back_through_slope_and_intercept():
    magnitude = np.linspace(0, 1, 64).reshape(8, 8)
    of = device(gain=1400.0, rescale_slope=0.5, rescale_intercept=-20.0)
    stored = stored_values(magnitude, of)
    assert stored.dtype == np.uint16
    np.testing.assert_allclose(stored * 0.5 - 20.0, 1400.0 * magnitude, atol=0.2501)


def test_values_beyond_twelve_bits_saturate():
    assert stored_values(np.array([[9.0]]), device(gain=1000.0))[0, 0] == STORED_MAX


def test_phantom_saturates_almost_nowhere(phantom: Written):
    full = [(phantom.header(row).pixel_array == STORED_MAX).mean() for row in range(0, len(phantom.truth), 5)]
    assert max(full) == 0


def test_noise_in_the_air_of_each_device_is_as_stated(phantom: Written):
    values = phantom.values()
    for site in phantom.spec.sites:
        of = phantom.spec.device_of(site)
        air = values[(phantom.truth.site == site.name).to_numpy(), :6, :6] / of.gain
        sigma = np.sqrt(((air**2).mean() - AIR ** (2 * of.gamma)) / 2)  # Rician: E[m^2] = 2 sigma^2 + signal^2
        assert sigma == pytest.approx(of.noise_sigma, rel=0.1)


def test_contrast_curve_of_each_device_shows_in_the_images(phantom: Written):
    values = phantom.values()
    for site in phantom.spec.sites:
        of = phantom.spec.device_of(site)
        rows = (phantom.truth.site == site.name).to_numpy()
        tissue = (phantom.noise_free[rows] > 0.35) & (phantom.noise_free[rows] < 0.65)
        tissue = binary_erosion(tissue, np.ones((1, 5, 5)))  # away from edges, which the blur mixes
        expected = (phantom.noise_free[rows][tissue] ** of.gamma).mean()
        assert (values[rows][tissue] / of.gain).mean() == pytest.approx(expected, rel=0.08)
