"""What a device makes of a scene: blur, coil shading, contrast curve, noise, and the stored 16-bit values."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from synthassay.cohorts.phantom.specs import STORED_MAX, DeviceModel


def coil_shading(rng: np.random.Generator, size: int, amplitude: float) -> NDArray[np.float64]:
    """A smooth sensitivity ``[size, size]`` around 1: a random tilt and bow, at most ``amplitude`` away from 1."""
    axis = np.linspace(-1, 1, size)
    x, y = np.meshgrid(axis, axis)
    weights = rng.uniform(-1, 1, 5)
    weights /= np.abs(weights).sum()
    terms = (x, y, x * y, 2 * x**2 - 1, 2 * y**2 - 1)
    return np.asarray(1 + amplitude * sum(weight * term for weight, term in zip(weights, terms, strict=True)))


def acquire(
    signal: NDArray[np.float32], device: DeviceModel, shading_rng: np.random.Generator, noise_rng: np.random.Generator
) -> NDArray[np.float64]:
    """The measured magnitude ``[h, w]`` float64 >= 0, in units of full signal, before gain and rescaling.

    ``signal`` ``[h, w]`` is a scene. Noise is Rician, as in magnitude MR: complex Gaussian noise of standard deviation
    ``noise_sigma`` a channel, then the modulus.
    """
    blurred = gaussian_filter(signal.astype(np.float64), device.blur_px, mode="nearest")
    shaded = blurred * coil_shading(shading_rng, len(signal), device.shading)
    curve = np.maximum(shaded, 0) ** device.gamma
    real, imaginary = noise_rng.normal(0, device.noise_sigma, (2, *signal.shape))
    return np.asarray(np.hypot(curve + real, imaginary))


def stored_values(magnitude: NDArray[np.float64], device: DeviceModel) -> NDArray[np.uint16]:
    """Stored values in [0, 4095]: ``value * slope + intercept`` gives back ``gain * magnitude``, to rounding."""
    value = (device.gain * magnitude - device.rescale_intercept) / device.rescale_slope
    return np.clip(np.rint(value), 0, STORED_MAX).astype(np.uint16)
