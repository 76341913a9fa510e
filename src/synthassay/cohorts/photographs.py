"""PNG, JPEG and TIFF images of a cohort, with a mask beside each where the label needs one."""

import hashlib
import io
from pathlib import Path

from synthassay.cohorts.planes import finish
from synthassay.cohorts.sources import FileImages, Source
from synthassay.cohorts.specs import CohortSpec
from synthassay.scans.pictures import SUFFIXES, read_pictures
from synthassay.scans.planes import RawPlane
from synthassay.scans.unreadable import Unreadable


def describe(path: str) -> Source:
    """A source for one image file. Raises :class:`Unreadable` for files with another suffix."""
    if not path.lower().endswith(SUFFIXES):
        raise Unreadable("file", "another suffix", "not a scan: not a PNG, JPEG or TIFF file")
    return Source(path=path, patient=path, study=path, series=path)


def read_images(root: Path, source: Source, spec: CohortSpec) -> FileImages:
    """The image, or each page of a TIFF. Raises :class:`Unreadable`."""
    content = (root / source.path).read_bytes()
    pictures = read_pictures(io.BytesIO(content), spec.limits)
    planes = [RawPlane(values=picture.values, frame=index) for index, picture in enumerate(pictures)]
    return finish(planes, spec, hashlib.sha256(content).hexdigest())
