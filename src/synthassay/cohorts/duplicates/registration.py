"""Two images laid on each other by a shift and a stretch along each axis, and how well they then agree.

Gauss-Newton steps after Lucas and Kanade (1981), from the whole-pixel shift at which the two correlate most.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter

from synthassay.cohorts.duplicates.hashes import SIDE
from synthassay.cohorts.duplicates.spectra import WINDOW

Images = NDArray[np.float32]  # [n, SIDE, SIDE]
FURTHEST = 8  # pixels of the first shift
STRETCH = 0.2  # at most, relative to 1
RIM = 2  # pixels along each side that do not count: a margin may have left half a line there
COARSE, FINE = 3, 8  # steps for all pairs, and for those that may be doubles
WORTH = 0.94  # correlation after the coarse steps below which no more are taken
FINEST, COARSEST = 0.7, 2.0  # of details: pixels of two Gaussians, whose difference they are
CENTRED = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2


class Agreement(NamedTuple):
    """Of each pair: correlation of the pixels, of their details (structures of a few pixels), the share of the frame
    that both show, and over how many pixels the details of the plainer one are spread."""

    correlation: NDArray[np.float32]
    detail: NDArray[np.float32]
    overlap: NDArray[np.float32]
    spread: NDArray[np.float32]


def agreement(first: Images, second: Images) -> Agreement:
    """Agreement of ``first`` with ``second`` fitted to it; both ``[n, 32, 32]``."""
    if not len(first):
        return Agreement(*np.zeros((4, 0), np.float32))
    fit = np.zeros((len(first), 2, 2), np.float32)  # for y and x: stretch less 1, shift
    fit[:, :, 1] = best_shift(first, second)[0]
    fit = _fitted(first, second, fit, COARSE)
    warped, shown = _warped(second, fit)
    close = correlation(first, warped, shown) >= WORTH
    if close.any():
        fit[close] = _fitted(first[close], second[close], fit[close], FINE)
    warped, shown = _warped(second, fit)
    details = _detail(first, shown), _detail(warped, shown)
    return Agreement(
        correlation(first, warped, shown), correlation(*details, shown),
        shown.mean((1, 2)) * (SIDE / (SIDE - 2 * RIM)) ** 2,
        np.minimum(*(_spread(one, shown) for one in details)),
    )  # fmt: skip


def best_shift(first: Images, second: Images) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """``[n, 2]`` whole pixels (y, x) by which the content of ``second`` lies further, and the correlation there."""
    faded = [(image - image.mean((1, 2), keepdims=True)) * np.outer(WINDOW, WINDOW) for image in (first, second)]
    product = irfft2(rfft2(faded[0]).conj() * rfft2(faded[1]))
    allowed = np.r_[0 : FURTHEST + 1, SIDE - FURTHEST : SIDE]
    near = product[:, allowed[:, None], allowed].reshape(len(first), -1)
    place = near.argmax(1)
    steps = np.where(allowed > FURTHEST, allowed - SIDE, allowed)
    shift = np.stack([steps[place // len(steps)], steps[place % len(steps)]], axis=1)
    lengths = np.linalg.norm(faded[0], axis=(1, 2)) * np.linalg.norm(faded[1], axis=(1, 2))
    return shift, (near.max(1) / np.maximum(lengths, 1e-12)).astype(np.float32)


def correlation(first: Images, second: Images, shown: Images) -> NDArray[np.float32]:
    """Pearson's, of the pixels where ``shown`` is 1."""
    one, other = _centred(first, shown), _centred(second, shown)
    lengths = np.sqrt((one * one).sum((1, 2)) * (other * other).sum((1, 2)))
    products: NDArray[np.float32] = (one * other).sum((1, 2)) / np.maximum(lengths, 1e-12)
    return products


def _centred(images: Images, shown: Images) -> Images:
    mean = (images * shown).sum((-1, -2), keepdims=True) / np.maximum(shown.sum((-1, -2), keepdims=True), 1)
    centred: Images = (images - mean) * shown
    return centred


def _detail(images: Images, shown: Images) -> Images:
    """A band of middle frequencies: scaling takes the highest away, and any two slices share the lowest."""
    centred, blurred = _centred(images, shown), list[Images]()
    for width in (FINEST, COARSEST):
        weights = np.maximum(gaussian_filter(shown, (0, width, width)), 1e-3)
        blurred.append((gaussian_filter(centred, (0, width, width)) / weights).astype(np.float32))
    detail: Images = (blurred[0] - blurred[1]) * shown
    return detail


def _spread(images: Images, shown: Images) -> NDArray[np.float32]:
    """Over how many pixels the squares of ``images`` are spread: their participation ratio."""
    squares = np.square(_centred(images, shown))
    ratio: NDArray[np.float32] = squares.sum((1, 2)) ** 2 / np.maximum(np.square(squares).sum((1, 2)), 1e-30)
    return ratio


def _warped(images: Images, fit: NDArray[np.float32]) -> tuple[Images, Images]:
    """``images`` at the fitted places, between pixels, and 1 where both frames show something but their rims."""
    places = (1 + fit[:, :, :1]) * CENTRED + fit[:, :, 1:] + (SIDE - 1) / 2  # [n, 2, SIDE]
    inside = (places >= RIM) & (places <= SIDE - 1 - RIM)
    inside[:, :, :RIM] = inside[:, :, SIDE - RIM :] = False
    pixels = np.arange(SIDE, dtype=np.float32)
    rows, columns = (np.maximum(0, 1 - np.abs(places[:, axis, :, None] - pixels)) for axis in (0, 1))
    return rows @ images @ columns.swapaxes(1, 2), (inside[:, 0, :, None] & inside[:, 1, None]).astype(np.float32)


def _fitted(first: Images, second: Images, fit: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    for _ in range(steps):
        warped, shown = _warped(second, fit)
        target, current = _centred(first, shown), _centred(warped, shown)
        gain = (target * current).sum((1, 2)) / np.maximum((current * current).sum((1, 2)), 1e-12)
        gain = np.clip(gain, 0.3, 3)[:, None, None]
        slopes = []
        for axis in (0, 1):
            slope = np.gradient(warped, axis=axis + 1) / (1 + fit[:, axis, 0])[:, None, None] * gain
            slopes += [slope * (CENTRED[:, None] if axis == 0 else CENTRED), slope]
        design = _centred(np.stack(slopes, 1), shown[:, None]).reshape(len(first), 4, -1)
        normal = design @ design.swapaxes(1, 2)
        damping = 1e-3 * np.trace(normal, axis1=1, axis2=2)[:, None, None] / 4 + 1e-9
        step = np.linalg.solve(normal + damping * np.eye(4, dtype=np.float32),
                               design @ (target - gain * current).reshape(len(first), -1, 1))  # fmt: skip
        fit = fit + np.clip(step.reshape(-1, 2, 2), [-0.1, -2], [0.1, 2])
        fit = np.clip(fit, [-STRETCH, -1.5 * FURTHEST], [STRETCH, 1.5 * FURTHEST]).astype(np.float32)
    return fit
