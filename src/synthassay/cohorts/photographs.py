"""PNG, JPEG and TIFF images of a cohort, with a mask beside each where the label needs one."""

import hashlib
import io
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts.masks import mask_path
from synthassay.cohorts.planes import finish, with_few_values
from synthassay.cohorts.sources import FileImages, Source
from synthassay.cohorts.specs import CohortSpec
from synthassay.scans.limits import LimitSpec
from synthassay.scans.pictures import SUFFIXES, Picture, read_pictures
from synthassay.scans.planes import RawPlane
from synthassay.scans.unreadable import Unreadable


def describe(path: str, spec: CohortSpec, known: Collection[str]) -> tuple[Source, tuple[str, ...]]:
    """A source for one image file, and its mask if it has one; ``known`` are the paths found under the root.

    Raises :class:`Unreadable` for files with another suffix, and where the label needs a mask that is not there.
    """
    if not path.lower().endswith(SUFFIXES):
        raise Unreadable("file", "another suffix", "not a scan: not a PNG, JPEG, TIFF, NPZ or HDF5 file")
    if spec.dimensions == 3:
        raise Unreadable("file", "a picture", "not a volume, as cohort.dimensions=3 asks for")
    asked = spec.needs_mask or spec.masks.keep
    mask = mask_path(spec.label.mask, path, PurePosixPath(path).stem) if asked else None
    if mask not in known:
        if spec.needs_mask:
            raise Unreadable("mask", "absent", "no mask at the place that label.mask describes")
        mask = None
    return Source(path=path, patient=path, study=path, series=path, mask=mask), (mask,) if mask else ()


def read_images(root: Path, source: Source, spec: CohortSpec) -> FileImages:
    """The image, or each page of a TIFF as a slice, with its mask. Raises :class:`Unreadable`."""
    content = (root / source.path).read_bytes()
    pictures = read_pictures(io.BytesIO(content), spec.limits)
    masks: Sequence[NDArray[np.float32] | None] = (
        [None] * len(pictures) if source.mask is None else _masks(root / source.mask, pictures, spec.limits)
    )
    last = len(pictures) - 1
    planes = [
        RawPlane(values=picture.values, frame=index, mask=mask, slice_index=index if last else None,
                 slice_position=index / last if last else None)
        for index, (picture, mask) in enumerate(zip(pictures, masks, strict=True))
    ]  # fmt: skip
    images = finish(planes, spec, hashlib.sha256(content).hexdigest())
    return with_few_values(images, (picture.values for picture in pictures))


def _masks(path: Path, pictures: Sequence[Picture], limits: LimitSpec) -> Sequence[NDArray[np.float32]]:
    try:
        masks = [page.values if page.values.ndim == 2 else page.values.max(axis=2)
                 for page in read_pictures(path, limits, masks=True)]  # fmt: skip
    except Unreadable as error:
        raise Unreadable(f"mask {error.field}", error.found, f"the mask cannot be used: {error.reason}") from error
    if [mask.shape for mask in masks] != [picture.values.shape[:2] for picture in pictures]:
        raise Unreadable("mask size", "another one", "mask and image differ in size")
    return masks
