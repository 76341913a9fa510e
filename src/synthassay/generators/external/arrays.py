"""One row of an array file → images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.generators.external.specs import ExternalSpec
from synthassay.generators.external.windows import Planes, between, check_finite, window
from synthassay.scans.array_rows import is_volume, refuse_colours_first
from synthassay.scans.arrays import ArrayInfo, read_row
from synthassay.scans.unreadable import Unreadable

FULL = {np.dtype(bool): 1, np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}


def read_row_images(path: Path, info: ArrayInfo, row: int, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    """The images of one row, each ``[c, (d,) h, w]``: a picture, a volume's slices, or a volume; 0 black, 1 white.

    Raises :class:`Unreadable` for what is none of them, and for damaged data.
    """
    if info.dtype.kind not in "biuf":
        raise Unreadable("dtype", "text", "not an array of numbers")
    values = read_row(path, info, row)
    if values.size < 1:
        raise Unreadable("shape", _shape(values), "not an image: it has no pixels")
    images = [_volume(values, spec, policy)] if policy.get("dimensions", 2) == 3 else _pictures(values, spec)
    return _shown(images, spec, policy)


def _pictures(values: NDArray[Any], spec: ExternalSpec) -> list[NDArray[Any]]:
    """``[h, w]``, ``[h, w, 3]``, or the slices of ``[d, h, w]`` and ``[d, h, w, 3]``, as ``[c, h, w]``."""
    refuse_colours_first(values.shape)
    if not is_volume(values.shape):
        return [_picture(values)]
    return [_picture(one) for one in values[:: spec.every_n]]


def _picture(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim == 2:
        return values[None]
    if values.ndim != 3 or values.shape[2] not in (1, 3):
        raise Unreadable("shape", _shape(values), "neither a grey image nor one of three colours")
    return np.moveaxis(values, 2, 0)


def _volume(values: NDArray[Any], spec: ExternalSpec, policy: Mapping[str, Any]) -> NDArray[Any]:
    """``[d, h, w]``, or with one channel first or last, as ``[1, d, h, w]``."""
    if values.ndim == 4 and 1 in (values.shape[0], values.shape[3]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim != 3 or not is_volume(values.shape):
        raise Unreadable("shape", _shape(values), "not a grey volume, and the cohort's images are volumes")
    if spec.resize and policy.get("spacing_mm") is not None:
        raise Unreadable("spacing", "not stated", "the cohort has one spacing (cohort.volume.spacing_mm), and array "
                         "files do not say theirs; set generator.resize=false")  # fmt: skip
    return values[None]


def _shown(images: list[NDArray[Any]], spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    dtype = images[0].dtype
    if spec.arrays.range is not None:
        check_finite(images)
        return between(images, *spec.arrays.range)
    if dtype in FULL:
        return [image.astype(np.float32) / np.float32(FULL[dtype]) for image in images]
    if policy["mode"] == "header":
        raise Unreadable("window", "of each header", "the cohort's windows are those of DICOM headers; give "
                         "generator.arrays.range")  # fmt: skip
    return window(images, policy)


def _shape(values: NDArray[Any]) -> str:
    return "x".join(map(str, values.shape))
