"""PNG, JPEG and TIFF images. Their values are brought to 0..255 whatever the depth of the file."""

import hashlib
import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence

from synthassay.cohorts.planes import finish
from synthassay.cohorts.sources import FileImages, Source
from synthassay.cohorts.specs import CohortSpec
from synthassay.scans.planes import RawPlane
from synthassay.scans.unreadable import Unreadable

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "TIFF")  # no other of Pillow's decoders is offered a file
GREY_MODES = frozenset({"1", "L", "I;16", "I;16B", "I;16L", "I", "F"})


def describe(path: str) -> Source:
    """A source for one image file. Raises :class:`Unreadable` for files with another suffix."""
    if not path.lower().endswith(SUFFIXES):
        raise Unreadable("file", "another suffix", "not a scan: not a PNG, JPEG or TIFF file")
    return Source(path=path, patient=path, study=path, series=path)


def read_images(root: Path, source: Source, spec: CohortSpec) -> FileImages:
    """The image, or each page of a TIFF. Raises :class:`Unreadable`."""
    content = (root / source.path).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                pages = _pages(image, spec)
        except (Unreadable, MemoryError):
            raise
        except Exception as error:  # decoders raise whatever they like on damaged data
            raise Unreadable("pixels", type(error).__name__, "the image is truncated or damaged") from error
    planes = [RawPlane(values=values, frame=index) for index, values in enumerate(pages)]
    return finish(planes, spec, hashlib.sha256(content).hexdigest())


def _pages(image: Image.Image, spec: CohortSpec) -> list[NDArray[np.float32]]:
    count = int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
    voxels, pages = 0, []
    for page in ImageSequence.Iterator(image) if count > 1 else (image,):
        voxels += page.width * page.height * len(page.getbands())  # pages of one file may differ in size
        if voxels > spec.limits.voxels:
            raise Unreadable("size", f"{voxels} values", "more than cohort.limits.voxels")
        pages.append(_values(page))
    return pages


def _values(image: Image.Image) -> NDArray[np.float32]:
    """``[h, w]`` or ``[h, w, 3]`` float32; 16-bit files are divided by 257, transparency is dropped."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode not in GREY_MODES:
        grey = upright.mode == "LA"
        return np.asarray(upright.convert("L" if grey else "RGB"), np.float32)
    if upright.mode == "1":
        upright = upright.convert("L")
    values = np.asarray(upright).astype(np.float32)
    sixteen = upright.mode.startswith("I;16") or (upright.mode == "I" and image.format == "PNG")
    return values / np.float32(257) if sixteen else values
