"""RLE Lossless by the PackBits decoder of imagecodecs, as a decoding plugin of pydicom.

It reads frames that are just as the standard has them, in half of the time of pylibjpeg-rle, which is given every other
one: to refuse, or to read in spite of bytes too many. Where both read a frame, its values are the same.
"""

from struct import unpack
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import RLELossless

try:
    import imagecodecs
    from rle import decode_pixel_data
except ImportError:  # pydicom asks for :func:`is_available`
    imagecodecs = None  # type: ignore[assignment]

SYNTAXES = (RLELossless,)
DECODER_DEPENDENCIES = {RLELossless: ("imagecodecs>=2024.12.30", "pylibjpeg-rle>=2.0")}
HEADER = 64  # bytes: how many segments there are, and where the most that can be (15) begin


def is_available(uid: str) -> bool:
    """Whether imagecodecs and pylibjpeg-rle are installed."""
    return imagecodecs is not None and uid in DECODER_DEPENDENCIES


def decode_frame(src: bytes, runner: Any) -> NDArray[Any] | bytearray:
    """One frame in little endian, colour by plane; ``runner`` is a pydicom ``DecodeRunner``, which knows the header.

    Raises pylibjpeg-rle's ``ValueError`` for a frame that is damaged or is not as the header says.
    """
    frame = _decoded(src, runner.rows * runner.columns, runner.samples_per_pixel, runner.bits_allocated)
    if frame is None:
        frame = decode_pixel_data(src, version=2, **runner.options)
    runner.set_option("planar_configuration", 1)
    return frame


def _decoded(src: bytes, pixels: int, samples: int, bits: int) -> NDArray[Any] | None:
    """``[samples, pixels]``; None for a frame that is in any way odd. Each byte of a value has a segment."""
    count = samples * bits // 8
    places = unpack("<16I", src[:HEADER]) if len(src) > HEADER else (0,)
    if bits not in (8, 16, 32) or places[0] != count or places[1] != HEADER or any(places[count + 1 :]):
        return None
    ends = (*places[2 : count + 1], len(src))
    planes = np.empty((samples, bits // 8, pixels), np.uint8)
    segments = zip(planes.reshape(count, pixels), places[1:], ends, strict=False)
    if not all(_fills(plane, src[start:end]) for plane, start, end in segments):
        return None
    values = planes[:, 0].astype(f"<u{bits // 8}", copy=False)  # the highest byte comes first
    for lower in range(1, bits // 8):
        values <<= 8
        values |= planes[:, lower]
    return values


def _fills(plane: NDArray[np.uint8], segment: bytes) -> bool:
    """Decodes a segment into ``plane``, which it should fill with its last run."""
    try:
        return bool(segment) and len(imagecodecs.packbits_decode(segment, out=plane)) == len(plane)
    except imagecodecs.PackbitsError:
        return False
