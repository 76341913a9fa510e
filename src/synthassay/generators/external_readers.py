"""One file of an external set → images. Files are untrusted: sizes are checked before anything is decoded."""

import gzip
import logging
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from synthassay.generators.external_specs import ExternalSpec
from synthassay.scans.dicom import pixels as dicom
from synthassay.scans.dicom.header import read_header
from synthassay.scans.limits import LimitSpec
from synthassay.scans.pictures import SUFFIXES as PICTURES
from synthassay.scans.pictures import read_pictures
from synthassay.scans.unreadable import Unreadable

nib: Any = nibabel  # its types are incomplete
# Each [c, h, w], float32 for pictures; float64 after the window, so that values round as those of the cohort do.
Planes = list[NDArray[np.float32] | NDArray[np.float64]]

VOLUMES = (".nii", ".nii.gz")
AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
_TOO_LARGE = "more values than generator.max_values; it was not decoded"


def read_planes(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    """All images of one file, each ``[c, h, w]`` with c = 1 or 3: 0 is black, 1 is white, values outside may occur.

    Pictures of 8 or 16 bits keep their full range. DICOM and NIfTI values pass the cohort's intensity ``policy``.
    Raises :class:`Unreadable` for every file that is not such an image, or is damaged.
    """
    reader = _reader(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's and Pillow's warnings quote headers
        try:
            return reader(path, spec, policy)
        except Unreadable:
            raise
        except MemoryError as error:
            raise Unreadable("size", "more than the memory holds", "too large for this machine's memory") from error
        except Exception as error:  # decoders raise whatever they like on damaged data
            raise Unreadable(
                "pixels", type(error).__name__, "the file is truncated, damaged or not decodable"
            ) from error


def _reader(path: Path) -> Callable[[Path, ExternalSpec, Mapping[str, Any]], Planes]:
    name = path.name.lower()
    if name.endswith(PICTURES):
        return _picture
    if name.endswith(VOLUMES):
        return _volume
    with path.open("rb") as stream:
        if stream.read(132)[128:] == b"DICM":
            return _dicom
    raise Unreadable("file", "another format", "not a PNG, JPEG, TIFF, DICOM or NIfTI file")


def _refuse_large(values: int, spec: ExternalSpec, field: str) -> None:
    if values > spec.max_values:
        raise Unreadable(field, f"{values} values", _TOO_LARGE)


def _picture(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    """``[c, h, w]`` in [0, 1] over the full range of the file's depth."""
    pictures = read_pictures(path, spec.max_values, "generator.max_values")
    if any(picture.bits == 32 for picture in pictures):
        raise Unreadable("mode", "32-bit values", "32-bit pictures have no full range; save 8 or 16 bits")
    stacks = [np.atleast_3d(picture.values) / np.float32(255) for picture in pictures]
    return [np.moveaxis(stack, -1, 0) for stack in stacks]


def window(planes: Planes, policy: Mapping[str, Any]) -> Planes:
    """Source values of one file by the cohort's written policy: 0 is the window's low end, 1 its high end, unclipped.

    Clipping comes after resampling, as it does for the cohort.
    """
    if not all(np.isfinite(plane).all() for plane in planes):
        raise Unreadable("pixels", "NaN or infinite values", "holds NaN or infinite values")
    low, high = float(policy["low"]), float(policy["high"])
    if policy["mode"] == "scan":  # the window is that of the file's own values
        everything = np.concatenate([plane.ravel() for plane in planes])
        low, high = (float(value) for value in np.percentile(everything, policy["percentiles"]))
        if not low < high:
            raise Unreadable("pixels", "one value throughout", "the scan's own percentiles are equal")
    return [(plane.astype(np.float64) - low) / (high - low) for plane in planes]


def _volume(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    """Slices along ``spec.axis`` in the radiological view: anterior or superior on top, the patient's right at left."""
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # it reports every repaired header on stderr
    try:
        image = nib.load(path)
        _refuse_large(math.prod(map(int, image.shape)), spec, "dim")
        if image.get_data_dtype().names or image.get_data_dtype().kind not in "iuf":
            raise Unreadable("datatype", "colour or complex", "only real numbers can be read")
        if len(image.shape) < 2 or any(length > 1 for length in image.shape[3:]):
            raise Unreadable("dim", f"{len(image.shape)} dimensions", "not one volume; save one volume per file")
        values = np.asanyarray(image.dataobj).reshape((*image.shape[:3], 1)[:3])
        values = nib.as_closest_canonical(nib.Nifti1Image(values.astype(np.float32), image.affine)).get_fdata(
            dtype=np.float32
        )
    except (EOFError, gzip.BadGzipFile) as error:
        raise Unreadable("voxels", type(error).__name__, "the file is truncated or damaged") from error
    axis = AXES[spec.axis]
    planes = [np.take(values, i, axis=axis).T[::-1, ::-1][None] for i in range(values.shape[axis])]
    return window(planes, policy)[:: spec.every_n]


def _dicom(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    limits = LimitSpec(voxels=spec.max_values)
    read_header(path, limits)  # refuses what is too large before its pixels are in memory
    frames = [plane.values for plane in dicom.read_planes(path.read_bytes(), limits)]
    return window([frame[None] if frame.ndim == 2 else np.moveaxis(frame, 2, 0) for frame in frames], policy)
