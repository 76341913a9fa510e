"""NIfTI: volumes, BIDS names and sidecars, masks; slices in the orientation in which radiologists read them."""

import gzip
import hashlib
import json
import math
import re
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts.masks import mask_path
from synthassay.cohorts.planes import finish
from synthassay.cohorts.sources import FileImages, Source
from synthassay.cohorts.specs import CohortSpec
from synthassay.scans.planes import RawPlane
from synthassay.scans.text import clean, device_name
from synthassay.scans.unreadable import Unreadable

nib: Any = nibabel  # its stubs are partial
AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
MAX_SIDECAR_BYTES = 1 << 20


def file_stem(path: str) -> str:
    """The file name without ``.nii`` or ``.nii.gz``."""
    return re.sub(r"\.nii(\.gz)?$", "", PurePosixPath(path).name)


def describe(root: Path, path: str, spec: CohortSpec, known: frozenset[str]) -> tuple[Source, tuple[str, ...]]:
    """What path and sidecar say about one volume, and the other files that belong to it (mask, sidecar).

    ``known`` are the paths found under the root: nothing else is opened, so no link can lead out of it.
    Raises :class:`Unreadable` where the label needs a mask that is not there.
    """
    if not path.endswith((".nii", ".nii.gz")):
        raise Unreadable("file", "not .nii or .nii.gz", "not a scan: not a NIfTI file")
    subject, session = (_entity(path, name) for name in ("sub", "ses"))
    patient = subject or path
    study = f"{patient}/{session}" if session else patient
    mask = mask_path(spec.label, path, file_stem(path), subject or "", session or "")
    if mask is not None and mask not in known:
        raise Unreadable("mask", "absent", "no mask at the place that label.mask describes")
    sidecar = (PurePosixPath(path).parent / f"{file_stem(path)}.json").as_posix()
    facts = _sidecar(root / sidecar) if sidecar in known else {}
    source = Source(
        path=path, patient=patient, study=study, series=path, mask=mask, site=clean(facts.get("InstitutionName")),
        device=device_name(facts.get("Manufacturer"), facts.get("ManufacturersModelName")),
    )  # fmt: skip
    return source, tuple(extra for extra in (mask, sidecar if sidecar in known else None) if extra)


def _entity(path: str, name: str) -> str | None:
    """The BIDS entity of a path with its prefix, for example ``sub-01``."""
    match = re.search(rf"(?:^|/)({name}-[A-Za-z0-9]+)(?=[/_.])", path)
    return match[1] if match else None


def _sidecar(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_SIDECAR_BYTES:
            return {}
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a sidecar only adds facts; without it they are missing, as they would be without the file
    return facts if isinstance(facts, dict) else {}


def read_images(root: Path, source: Source, spec: CohortSpec) -> FileImages:
    """All slices of one volume, and the pixels of its mask in each. Raises :class:`Unreadable`."""
    path = root / source.path
    image, volume = _volume(path, spec)
    mask = None if source.mask is None else _mask(root / source.mask, image, spec)
    axis = AXES[spec.slices.axis]
    zooms = [float(zoom) for zoom in image.header.get_zooms()[:3]]
    first, second = [zooms[other] for other in range(3) if other != axis]
    count = volume.shape[axis]
    planes = [
        RawPlane(
            values=_radiological(volume, axis, index), frame=index, slice_index=index,
            slice_position=index / (count - 1) if count > 1 else None,
            mask=None if mask is None else _radiological(mask, axis, index),
            spacing_mm=(second, first, zooms[axis]), orientation=spec.slices.axis,
        )
        for index in range(count)
    ]  # fmt: skip
    return finish(planes, spec, hashlib.sha256(path.read_bytes()).hexdigest())


def _radiological(volume: NDArray[Any], axis: int, index: int) -> NDArray[Any]:
    """One slice of a volume in RAS order: anterior (axial) or superior at the top, the patient's right at the left."""
    # A view: np.take would copy the whole volume for each slice, since NIfTI stores it in Fortran order.
    plane: NDArray[Any] = np.moveaxis(volume, axis, 0)[index].T[::-1, ::-1]
    return plane


def _load(path: Path, spec: CohortSpec) -> tuple[Any, NDArray[Any]]:
    """A volume in the closest RAS orientation: its image and its scaled values ``[x, y, z]``."""
    try:
        image = nib.load(path)
        count = math.prod(int(length) for length in image.shape)  # in Python's integers, which cannot overflow
        if count > spec.limits.voxels:
            raise Unreadable("dim", f"{count} voxels", "more than cohort.limits.voxels")
        if image.get_data_dtype().names or image.get_data_dtype().kind not in "iuf":
            raise Unreadable("datatype", "colour or complex", "only real numbers can be read")
        image = _three_dimensional(image)
        image = nib.as_closest_canonical(image)
        return image, np.asanyarray(image.dataobj)
    except (Unreadable, MemoryError):
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Unreadable("voxels", type(error).__name__, "the file is truncated or damaged") from error
    except Exception as error:  # nibabel's header checks raise many kinds
        raise Unreadable("header", type(error).__name__, "the NIfTI file is truncated or damaged") from error


def _three_dimensional(image: Any) -> Any:
    extra = image.shape[3:]
    if any(length > 1 for length in extra):
        raise Unreadable("dim", f"{len(image.shape)} dimensions", "a series of volumes; save one volume per file")
    if len(image.shape) < 2:
        raise Unreadable("dim", f"{len(image.shape)} dimensions", "not an image")
    if len(image.shape) == 3:
        return image
    values = np.asanyarray(image.dataobj).reshape((*image.shape[:3], 1, 1)[:3])
    return nib.Nifti1Image(values, image.affine)


def _volume(path: Path, spec: CohortSpec) -> tuple[Any, NDArray[np.float32]]:
    image, values = _load(path, spec)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise Unreadable("voxels", f"{bad} of {values.size} are NaN or infinite", "holds NaN or infinite values")
    return image, values.astype(np.float32, copy=False)


def _mask(path: Path, scan: Any, spec: CohortSpec) -> NDArray[np.bool_]:
    try:
        image, values = _load(path, spec)
    except Unreadable as error:
        raise Unreadable(f"mask {error.field}", error.found, f"the mask cannot be used: {error.reason}") from error
    if values.shape != scan.shape[:3]:
        found = "x".join(map(str, values.shape)) + " against " + "x".join(map(str, scan.shape[:3]))
        raise Unreadable("mask dim", found, "mask and scan differ in shape")
    if not np.allclose(image.affine, scan.affine, atol=1e-2):
        raise Unreadable("mask affine", "another one", "mask and scan lie differently in space")
    if not np.isfinite(values).all():
        raise Unreadable("mask voxels", "NaN or infinite", "holds NaN or infinite values")
    return np.isin(values, spec.label.mask_values) if spec.label.mask_values else values > 0
