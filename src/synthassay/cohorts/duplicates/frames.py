"""Images cut to what they show, so that a copy with a margin, or without one, looks like its original."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synthassay.cohorts.duplicates.hashes import SIDE, flattened, unit
from synthassay.cohorts.planes import resize

WORKING = 64  # pixels a side at which the margin is looked for
# Root mean square of a line of the margin, from the margin's tone, where the image's own range is 0 to 1. What lies
# around a body is dark with noise; white is added by programs, and what shows bright tissue throughout is no margin.
WHITE, DARK = 0.05, 0.1
LEAST = 32  # lines that are left, of WORKING; smaller things, enlarged, look like one another

Span = tuple[float, float]


def framed(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """``[k, c, (d,) h, w]`` → ``[k, 1024]`` float32: as thumbnails, without the margin of each image.

    A white margin is cut away first, then a dark one within it. Where a dark one ends is measured in parts of a line,
    so that it does not jump when an image is scaled. Images that are margin for the most part give zeros.
    """
    small = [resize(image, WORKING)[0] for image in flattened(pixels)]
    return unit(np.stack([_cut(image, *_shown(image)) for image in small]).reshape(len(pixels), -1))


def _shown(image: NDArray[np.float32]) -> tuple[Span, Span]:
    """Rows and columns of ``image`` within its margins."""
    (top, bottom), (left, right) = (_within_white(profile) for profile in _profiles(1 - _grey(image)))
    if min(bottom - top, right - left) < LEAST:
        return (0, 0), (0, 0)
    rows, columns = (_within_dark(profile) for profile in _profiles(_grey(image[top:bottom, left:right])))
    return (top + rows[0], top + rows[1]), (left + columns[0], left + columns[1])


def _grey(image: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.percentile(image, [1, 99])
    scaled: NDArray[np.float32] = np.clip((image - low) / max(high - low, 1e-30), 0, 1)
    return scaled


def _profiles(image: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Root mean square of each row, and of each column."""
    return (np.sqrt((image * image).mean(axis)) for axis in (1, 0))


def _within_white(profile: NDArray[np.float32]) -> tuple[int, int]:
    """The first line within the margin, and the one after the last; a line that an edge runs through is left out."""
    shown = np.flatnonzero(profile > WHITE)
    if not len(shown):
        return 0, 0
    first, end = int(shown[0]), int(shown[-1]) + 1
    return first + (first > 0), end - (end < len(profile))


def _within_dark(profile: NDArray[np.float32]) -> Span:
    """Where the first line that is not dark begins and the last one ends, interpolated between lines."""
    bright = np.flatnonzero(profile > DARK)
    if not len(bright):
        return 0, 0
    first, last = int(bright[0]), int(bright[-1])
    start = first - _reach(profile[first], profile[first - 1]) if first else 0
    end = last + _reach(profile[last], profile[last + 1]) if last < len(profile) - 1 else len(profile) - 1
    return max(0, start), min(len(profile), end + 1)


def _reach(bright: np.float32, dark: np.float32) -> float:
    return float((bright - DARK) / (bright - dark))


def _cut(image: NDArray[np.float32], rows: Span, columns: Span) -> NDArray[np.float32]:
    if min(rows[1] - rows[0], columns[1] - columns[0]) < LEAST:
        return np.zeros((SIDE, SIDE), np.float32)
    box = (columns[0], rows[0], columns[1], rows[1])
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR, box), np.float32)
