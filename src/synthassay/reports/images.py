"""Pixels as inline PNG."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GAP = 1  # pixels between the tiles of a montage, at the images' own resolution


def _channels_last(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``[c, h, w]`` → ``[h, w]`` (one channel, or the first of several that are not colours) or ``[h, w, 3]``."""
    return np.ascontiguousarray(image.transpose(1, 2, 0)) if len(image) == 3 else image[0]


def png_uri(image: NDArray[np.uint8]) -> str:
    """``[c, h, w]`` uint8 as a ``data:image/png;base64,…`` URI; three channels are red, green and blue."""
    buffer = io.BytesIO()
    Image.fromarray(_channels_last(image)).save(buffer, format="PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def montage(images: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """``[m, c, h, w]`` uint8 → ``[c, H, W]``: the images in rows of ``columns``, black gaps of one pixel."""
    m, c, h, w = images.shape
    columns = max(1, min(columns, m))
    rows = -(-m // columns)
    sheet: NDArray[Any] = np.zeros((c, rows * (h + GAP) - GAP, columns * (w + GAP) - GAP), np.uint8)
    for i, image in enumerate(images):
        top, left = (i // columns) * (h + GAP), (i % columns) * (w + GAP)
        sheet[:, top : top + h, left : left + w] = image
    return sheet
