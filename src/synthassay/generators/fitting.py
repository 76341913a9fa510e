"""An image of another size brought to the cohort's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synthassay.scans.resampling import boxed


def resized(plane: NDArray[Any], size: Sequence[int], fit: str) -> NDArray[Any]:
    """``[c, (d,) h, w]`` at another size by the cohort's rule: images are resampled, volumes cropped and padded.

    ``fit``: ``crop``, ``pad`` or anything else for neither, before an image is resampled.
    """
    if len(size) == 3:
        return np.stack([boxed(channel, size, None, 0.0) for channel in plane])
    height, width = size
    return _resampled(_squared(plane, height / width, fit), (height, width))


def _squared(plane: NDArray[Any], ratio: float, how: str) -> NDArray[Any]:
    """``[c, h, w]`` brought to ``h / w = ratio`` by the cohort's rule: central crop, padding with 0, or as it is."""
    height, width = plane.shape[1:]
    if how == "crop":
        rows, columns = min(height, round(width * ratio)), min(width, round(height / ratio))
        top, left = (height - rows) // 2, (width - columns) // 2
        return plane[:, top : top + rows, left : left + columns]
    if how == "pad":
        more = (max(0, round(width * ratio) - height), max(0, round(height / ratio) - width))
        return np.pad(plane, ((0, 0), *((extra // 2, extra - extra // 2) for extra in more)))
    return plane


def _resampled(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Pillow's bilinear filter, which averages when it shrinks: what cohorts are resampled with."""
    channels = [Image.fromarray(np.ascontiguousarray(channel, dtype=np.float32)) for channel in plane]
    resized = [c.resize((size[1], size[0]), Image.Resampling.BILINEAR) for c in channels]
    return np.stack([np.asarray(c, np.float32) for c in resized])
