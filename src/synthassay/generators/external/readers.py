"""One item of an external set → images. Files are untrusted: sizes are checked before anything is decoded."""

import io
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.generators.external.arrays import read_row_images
from synthassay.generators.external.items import VOLUMES, Item, is_dicom
from synthassay.generators.external.specs import ExternalSpec
from synthassay.generators.external.windows import Planes, window
from synthassay.scans.dicom import pixels as dicom
from synthassay.scans.dicom import volumes as series
from synthassay.scans.dicom.header import read_header
from synthassay.scans.limits import check_size
from synthassay.scans.nifti.volume import open_file, read_volume
from synthassay.scans.orientation import from_stack_order, stack, upright
from synthassay.scans.pictures import SUFFIXES as PICTURES
from synthassay.scans.pictures import read_pictures
from synthassay.scans.pool import restart_clock
from synthassay.scans.resampling import regrid
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import Volume


def read_planes(root: Path, item: Item, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    """All images of one item, each ``[c, (d,) h, w]`` with c = 1 or 3: 0 is black, 1 white, values outside may occur.

    Pictures of 8 or 16 bits keep their full range. DICOM and NIfTI values pass the cohort's intensity ``policy``.
    Raises :class:`Unreadable` for every file that is not such an image, or is damaged.
    """
    path = root / item.file
    check_size(path, spec.limits)
    if item.array is not None:
        return read_row_images(path, item.array, item.row, spec, policy)
    if item.stack is not None:
        units = policy.get("source_units", "rescaled")
        volume = series.read_volume(root, item.stack, spec.limits, units, lambda: restart_clock(spec.limits))
        return _slices(volume, spec, policy)
    reader = _reader(path)
    if _whole(policy) and reader is not _nifti:
        raise Unreadable("file", "no volume", "the cohort's images are volumes; give NIfTI files, DICOM series or "
                         "array files of volumes")  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's and Pillow's warnings quote headers
        return reader(path, spec, policy)


def _reader(path: Path) -> Callable[[Path, ExternalSpec, Mapping[str, Any]], Planes]:
    name = path.name.lower()
    if name.endswith(PICTURES):
        return _picture
    if name.endswith(VOLUMES):
        return _nifti
    if is_dicom(path):
        return _dicom
    raise Unreadable("file", "another format", "not a PNG, JPEG, TIFF, DICOM, NIfTI, NPZ or HDF5 file")


def _whole(policy: Mapping[str, Any]) -> bool:
    """Whether the cohort's images are volumes."""
    return bool(policy.get("dimensions", 2) == 3)


def _picture(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    """``[c, h, w]`` in [0, 1] over the full range of the file's depth."""
    # From memory: a length that a damaged header claims would be asked of a file, and taken, at once.
    pictures = read_pictures(io.BytesIO(path.read_bytes()), spec.limits)
    if any(picture.bits == 32 for picture in pictures):
        raise Unreadable("mode", "32-bit values", "32-bit pictures have no full range; save 8 or 16 bits")
    stacks = [np.atleast_3d(picture.values) / np.float32(255) for picture in pictures]
    return [np.moveaxis(stack, -1, 0) for stack in stacks]


def _nifti(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    not_a_number = policy.get("not_a_number", "refuse")
    return _slices(read_volume(open_file(path, spec.limits), spec.limits, not_a_number=not_a_number), spec, policy)


def _slices(volume: Volume, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    """Slices along ``spec.axis`` as the cohort's, or the volume ``[1, d, h, w]`` where the cohort's images are volumes.

    With ``spec.resize`` the volume is brought to the cohort's spacing first.
    """
    if policy["mode"] == "header":
        raise Unreadable("window", "of each header", "the cohort's windows are those of DICOM headers; volumes have "
                         "none")  # fmt: skip
    volume = upright(volume)
    axis = policy["axis"] if _whole(policy) else spec.axis
    if spec.resize:
        spacing = policy.get("spacing_mm")
        grid = None if spacing is None else from_stack_order(spacing, axis)
        volume = regrid(volume, grid, policy.get("oblique") == "resample", spec.limits)
    slices: NDArray[np.float32] = stack(volume.values, axis)
    if not _whole(policy):
        return window([_channels_first(one) for one in slices], policy)[:: spec.every_n]
    if slices.ndim > 3:
        raise Unreadable("datatype", "colours", "the cohort's images are grey volumes")
    return window([slices[None]], policy)


def _dicom(path: Path, spec: ExternalSpec, policy: Mapping[str, Any]) -> Planes:
    read_header(path, spec.limits)  # refuses what is too large before its pixels are in memory
    units, own = policy.get("source_units", "rescaled"), policy["mode"] == "header"
    frames = [plane.values for plane in dicom.read_planes(path.read_bytes(), spec.limits, units, header_window=own)]
    return window([_channels_first(frame) for frame in frames], policy)


def _channels_first(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """``[h, w]`` or ``[h, w, 3]`` → ``[c, h, w]``."""
    return image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0)
