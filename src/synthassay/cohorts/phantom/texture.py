"""Background texture with a power-law spectrum, as found in anatomical images (Burgess 2001; beta is about 3)."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter

SIDE = 128  # samples a side of a stored texture
PERIOD_MM = 256.0  # after which it repeats: more than any field of view


def power_law_field(rng: np.random.Generator, side: int, beta: float) -> NDArray[np.float64]:
    """A periodic Gaussian random field ``[side, side]`` float64, mean 0, variance 1, power spectrum 1 / f**beta.

    The spectrum's phase and amplitude come from white noise, so the field is Gaussian; its mean (f = 0) is removed.
    """
    rows, cols = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]
    frequency = np.hypot(rows, cols)
    frequency[0, 0] = 1.0
    amplitude = frequency ** (-beta / 2)
    amplitude[0, 0] = 0.0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * amplitude, s=(side, side))
    return np.asarray(field / field.std())


class Texture:
    """A power-law field that belongs to a patient: it can be read at any point, so it moves with the head."""

    def __init__(self, rng: np.random.Generator, beta: float) -> None:
        field = power_law_field(rng, SIDE, beta)
        self._coefficients = spline_filter(field, order=3, mode="grid-wrap", output=np.float64)

    def at(self, x_mm: NDArray[np.float64], y_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at points of the head, in millimetres from its centre; any shape, float64, variance about 1."""
        scale = SIDE / PERIOD_MM
        points = np.stack([y_mm, x_mm]) * scale + SIDE / 2
        values = map_coordinates(self._coefficients, points, order=3, mode="grid-wrap", prefilter=False)
        return np.asarray(values, dtype=np.float64)
