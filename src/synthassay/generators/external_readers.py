"""One file of an external set → images. Files are untrusted: sizes are checked before anything is decoded."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.generators.external_specs import ExternalSpec
from synthassay.scans.dicom import pixels as dicom
from synthassay.scans.dicom.header import read_header
from synthassay.scans.limits import LimitSpec
from synthassay.scans.nifti.volume import open_file, read_volume
from synthassay.scans.orientation import from_stack_order, stack, upright
from synthassay.scans.pictures import SUFFIXES as PICTURES
from synthassay.scans.pictures import read_pictures
from synthassay.scans.resampling import regrid
from synthassay.scans.unreadable import Unreadable

# Each [c, (d,) h, w], float32 for pictures; float64 after the window, so that values round as those of the cohort do.
Planes = list[NDArray[np.float32] | NDArray[np.float64]]

VOLUMES = (".nii", ".nii.gz")


def read_planes(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    """All images of one file, each ``[c, (d,) h, w]`` with c = 1 or 3: 0 is black, 1 white, values outside may occur.

    Pictures of 8 or 16 bits keep their full range. DICOM and NIfTI values pass the cohort's intensity ``policy``.
    Raises :class:`Unreadable` for every file that is not such an image, or is damaged.
    """
    reader = _reader(path)
    if policy.get("dimensions", 2) == 3 and reader is not _volume:
        raise Unreadable("file", "no volume", "the cohort's images are volumes; give NIfTI files")
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


def _picture(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    """``[c, h, w]`` in [0, 1] over the full range of the file's depth."""
    pictures = read_pictures(path, LimitSpec(voxels=spec.max_values))
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
    """Slices along ``spec.axis`` as the cohort's, or the volume ``[1, d, h, w]`` where the cohort's images are volumes.

    With ``spec.resize`` the volume is brought to the cohort's spacing first.
    """
    if policy["mode"] == "header":
        raise Unreadable("window", "of each header", "the cohort's windows are those of DICOM headers; NIfTI has none")
    limits = LimitSpec(voxels=spec.max_values)
    volume = upright(read_volume(open_file(path, limits), limits))
    whole = policy.get("dimensions", 2) == 3
    axis = policy["axis"] if whole else spec.axis
    if spec.resize:
        spacing = policy.get("spacing_mm")
        grid = None if spacing is None else from_stack_order(spacing, axis)
        volume = regrid(volume, grid, policy.get("oblique") == "resample", limits)
    slices = stack(volume.values, axis)
    return window([slices[None]], policy) if whole else window([s[None] for s in slices], policy)[:: spec.every_n]


def _dicom(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    limits = LimitSpec(voxels=spec.max_values)
    read_header(path, limits)  # refuses what is too large before its pixels are in memory
    units, own = policy.get("source_units", "rescaled"), policy["mode"] == "header"
    frames = [plane.values for plane in dicom.read_planes(path.read_bytes(), limits, units, header_window=own)]
    return window([frame[None] if frame.ndim == 2 else np.moveaxis(frame, 2, 0) for frame in frames], policy)
