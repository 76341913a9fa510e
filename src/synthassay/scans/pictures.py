"""PNG, JPEG and TIFF files → arrays. Values are brought to 0..255 whatever the depth of the file."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from synthassay.scans.limits import LimitSpec, check_frames, check_values
from synthassay.scans.unreadable import Unreadable

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "TIFF")  # no other of Pillow's decoders is offered a file
# Of TIFF files: https://www.loc.gov/preservation/digital/formats/content/tiff_tags.shtml
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
WHITE_IS_ZERO, UNSIGNED, SIGNED = 0, 1, 2
UNKNOWN = "not a PNG, JPEG or TIFF image of a kind that can be read, or truncated or damaged"
GREY_MODES = frozenset({"1", "L", "LA", "I;16", "I;16B", "I;16L", "I", "F"})


@dataclass(frozen=True, slots=True)
class Picture:
    """One page of a file: ``values`` ``[h, w]`` grey or ``[h, w, 3]`` colour, float32, 0 to 255.

    ``bits`` is 8 or 16; 32 for files of floats, of 32-bit or of signed integers, whose values are kept as they are.
    """

    values: NDArray[np.float32]
    bits: int


def read_pictures(file: Path | IO[bytes], limits: LimitSpec, masks: bool = False) -> list[Picture]:
    """The image, or each page of a TIFF, upright by its EXIF orientation and without transparency.

    Of ``masks`` the numbers stand for classes: those of 16 bits are kept, and a pixel of a coloured palette is its
    place in the palette. Raises :class:`Unreadable` for what is over ``limits``, is another kind of file, or is
    damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings quote headers
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(file, formats=FORMATS) as image:
                return list(_pages(image, limits, masks))
        except (Unreadable, MemoryError):
            raise
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise Unreadable("size", "a decompression bomb", "far too many pixels; it was not decoded") from error
        except UnidentifiedImageError as error:
            raise Unreadable("pixels", "an unknown kind", UNKNOWN) from error
        except Exception as error:  # decoders raise whatever they like on damaged data
            raise Unreadable("pixels", type(error).__name__, "the image is truncated or damaged") from error


def _pages(image: Image.Image, limits: LimitSpec, masks: bool) -> Iterator[Picture]:
    file_format, count = str(image.format), 0
    for number, page in enumerate(ImageSequence.Iterator(image) if file_format == "TIFF" else (image,)):
        check_frames(number + 1, limits)
        count += page.width * page.height * len(page.getbands())  # pages of one file may differ in size
        check_values(count, limits, "size")
        yield _picture(page, file_format, masks)


def _picture(page: Image.Image, file_format: str, mask: bool) -> Picture:
    tags: Mapping[int, Any] = page.tag_v2 if isinstance(page, TiffImageFile) else {}
    upright = ImageOps.exif_transpose(page)
    if mask and upright.mode == "P" and _is_coloured(upright):
        return Picture(np.asarray(upright, np.float32), 8)
    if upright.mode not in GREY_MODES:
        return Picture(np.asarray(upright.convert("RGB"), np.float32), 8)
    if upright.mode in ("1", "LA"):
        upright = upright.convert("L")
    values = np.asarray(upright)
    sample_format = tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0]
    if upright.mode == "L" and sample_format == SIGNED:  # Pillow has no such mode
        return Picture(values.view(np.int8).astype(np.float32), 32)
    if upright.mode == "L":  # Pillow has inverted it where white is 0
        return Picture(values.astype(np.float32), 8)
    inverted = tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
    if upright.mode.startswith("I;16") or (upright.mode == "I" and file_format == "PNG"):
        top = np.float32(2 ** tags.get(BITS, (16,))[0] - 1)
        grey = top - values if inverted else values.astype(np.float32)
        return Picture(grey if mask else grey / (top / np.float32(255)), 16)
    if inverted:
        raise Unreadable("photometric", "white is 0", "which of its 32-bit values would be black is not known")
    if upright.mode == "I" and sample_format == UNSIGNED:
        values = values.view(np.uint32)  # nor this one
    return Picture(values.astype(np.float32), 32)


def _is_coloured(mask: Image.Image) -> bool:
    """Whether the palette has colours, which only tell classes apart; used or not, as the masks of a set differ."""
    palette = np.reshape(mask.getpalette("RGB") or [0, 0, 0], (-1, 3))
    if (palette == palette[:, :1]).all():
        return False
    if palette[0].any():
        raise Unreadable("palette", "begins with a colour", "a coloured mask must have its background first, in black; "
                         "or save the numbers of its classes as grey values")  # fmt: skip
    return True
