"""Images cut to what they show, so that a copy with a margin, or without one, looks like its original."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synthassay.cohorts.duplicates.hashes import SIDE, flattened, unit
from synthassay.cohorts.planes import resize

WORKING = 64  # pixels a side at which the margin is looked for
DARK = 0.1  # root mean square of a line of the margin, where the image's own range is 0 to 1
LEAST = 32  # lines that are left, of WORKING; smaller things, enlarged, look like one another


def framed(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """``[k, c, (d,) h, w]`` → ``[k, 1024]`` float32: as thumbnails, but without the dark margin of each image.

    Where a margin ends is measured in parts of a line, so that it does not jump when an image is scaled. Images that
    are margin for the most part give zeros.
    """
    small = np.stack([resize(image, WORKING)[0] for image in flattened(pixels)])
    low, high = np.percentile(small, [1, 99], axis=(1, 2), keepdims=True)
    grey = np.clip((small - low) / np.maximum(high - low, 1e-30), 0, 1)
    profiles = [np.sqrt((grey * grey).mean(axis)) for axis in (2, 1)]
    cut = [_cut(image, *(_ends(profile[row]) for profile in profiles)) for row, image in enumerate(small)]
    return unit(np.stack(cut).reshape(len(pixels), -1))


def _ends(profile: NDArray[np.float32]) -> tuple[float, float]:
    """Where the first line that is not dark begins and the last one ends, interpolated between lines."""
    bright = np.flatnonzero(profile > DARK)
    if not len(bright):
        return 0, 0
    first, last = int(bright[0]), int(bright[-1])
    start = first - _reach(profile[first], profile[first - 1]) if first else 0
    end = last + _reach(profile[last], profile[last + 1]) if last < WORKING - 1 else WORKING - 1
    return max(0, start), min(WORKING, end + 1)


def _reach(bright: np.float32, dark: np.float32) -> float:
    return float((bright - DARK) / (bright - dark))


def _cut(image: NDArray[np.float32], rows: tuple[float, float], columns: tuple[float, float]) -> NDArray[np.float32]:
    if min(rows[1] - rows[0], columns[1] - columns[0]) < LEAST:
        return np.zeros((SIDE, SIDE), np.float32)
    box = (columns[0], rows[0], columns[1], rows[1])
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR, box), np.float32)
