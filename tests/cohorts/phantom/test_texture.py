import numpy as np
import pytest

from synthassay.cohorts.phantom.texture import PERIOD_MM, SIDE, Texture, power_law_field


def spectral_slope(field: np.ndarray) -> float:
    """Least-squares slope of log power on log frequency, all frequencies below Nyquist's circle."""
    power = np.abs(np.fft.fft2(field)) ** 2
    frequency = np.hypot(np.fft.fftfreq(len(field))[:, None], np.fft.fftfreq(len(field))[None, :])
    use = (frequency > 0) & (frequency < 0.5)
    return float(np.polyfit(np.log(frequency[use]), np.log(power[use]), 1)[0])


@pytest.mark.parametrize("beta", [0.0, 2.0, 3.0])
def test_power_falls_with_the_stated_exponent(beta: float):
    fields = [power_law_field(np.random.default_rng(seed), 128, beta) for seed in range(4)]
    assert np.mean([spectral_slope(field) for field in fields]) == pytest.approx(-beta, abs=0.05)


def test_field_has_mean_zero_and_variance_one():
    field = power_law_field(np.random.default_rng(0), 64, 3.0)
    assert field.mean() == pytest.approx(0, abs=1e-12)
    assert field.var() == pytest.approx(1)


def test_texture_read_on_its_own_grid_gives_the_field_back():
    texture = Texture(np.random.default_rng(5), 3.0)
    axis = (np.arange(SIDE) - SIDE / 2) * PERIOD_MM / SIDE
    x, y = np.meshgrid(axis, axis)
    np.testing.assert_allclose(texture.at(x, y), power_law_field(np.random.default_rng(5), SIDE, 3.0), atol=1e-9)


def test_texture_moves_with_the_head_and_repeats_after_its_period():
    texture = Texture(np.random.default_rng(1), 3.0)
    x, y = np.array([3.3, -40.0]), np.array([10.1, 7.0])
    np.testing.assert_allclose(texture.at(x + PERIOD_MM, y), texture.at(x, y), atol=1e-9)
    assert not np.allclose(texture.at(x + 20, y), texture.at(x, y), atol=0.01)
