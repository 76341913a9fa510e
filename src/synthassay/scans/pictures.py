"""PNG, JPEG and TIFF files → arrays. Values are brought to 0..255 whatever the depth of the file."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence

from synthassay.scans.limits import LimitSpec, check_frames, check_values
from synthassay.scans.unreadable import Unreadable

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "TIFF")  # no other of Pillow's decoders is offered a file
GREY_MODES = frozenset({"1", "L", "LA", "I;16", "I;16B", "I;16L", "I", "F"})


@dataclass(frozen=True, slots=True)
class Picture:
    """One page of a file: ``values`` ``[h, w]`` grey or ``[h, w, 3]`` colour, float32, 0 to 255.

    ``bits`` is 8 or 16; 32 for files of floats or 32-bit integers, whose values are kept as they are.
    """

    values: NDArray[np.float32]
    bits: int


def read_pictures(file: Path | IO[bytes], limits: LimitSpec) -> list[Picture]:
    """The image, or each page of a TIFF, upright by its EXIF orientation and without transparency.

    Raises :class:`Unreadable` for what is over ``limits``, is another kind of file, or is damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings quote headers
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(file, formats=FORMATS) as image:
                return list(_pages(image, limits))
        except (Unreadable, MemoryError):
            raise
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise Unreadable("size", "a decompression bomb", "far too many pixels; it was not decoded") from error
        except Exception as error:  # decoders raise whatever they like on damaged data
            raise Unreadable("pixels", type(error).__name__, "the image is truncated or damaged") from error


def _pages(image: Image.Image, limits: LimitSpec) -> Iterator[Picture]:
    file_format, count = str(image.format), 0
    for number, page in enumerate(ImageSequence.Iterator(image) if file_format == "TIFF" else (image,)):
        check_frames(number + 1, limits)
        count += page.width * page.height * len(page.getbands())  # pages of one file may differ in size
        check_values(count, limits, "size")
        yield _picture(page, file_format)


def _picture(page: Image.Image, file_format: str) -> Picture:
    upright = ImageOps.exif_transpose(page)
    if upright.mode not in GREY_MODES:
        return Picture(np.asarray(upright.convert("RGB"), np.float32), 8)
    if upright.mode in ("1", "LA"):
        upright = upright.convert("L")
    values = np.asarray(upright).astype(np.float32)
    if upright.mode.startswith("I;16") or (upright.mode == "I" and file_format == "PNG"):
        return Picture(values / np.float32(257), 16)
    return Picture(values, 8 if upright.mode == "L" else 32)
