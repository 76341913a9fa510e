"""The header of a NIfTI or Analyze file: shape, type, scaling, and how its voxels lie in space.

Analyze 7.5 files are pairs (``.hdr``, ``.img``). Their header says sizes and distances of voxels, but not where left
is; scaling is read where SPM keeps it. They are taken as stored with x from right to left, as SPM and nibabel take
them, and count as not placed.
"""

import logging
import math
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from synthassay.scans.limits import LimitSpec, check_values
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import AffineChoice

nib: Any = nibabel  # its stubs are partial
LENGTH = 540  # of a NIfTI-2 header, the longer one
_SILENT = logging.getLogger("synthassay.scans.nifti")  # nibabel reports every repaired header
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
# By length of the header: its magic numbers for one file and for a pair, their place, and nibabel's classes.
_FORMATS = {
    348: (344, {b"n+1\0": nib.nifti1.Nifti1Header, b"ni1\0": nib.nifti1.Nifti1PairHeader}),
    540: (4, {b"n+2\0": nib.nifti2.Nifti2Header, b"ni2\0": nib.nifti2.Nifti2PairHeader}),
}
_MILLIMETRES = {1: 1e3, 3: 1e-3}  # in a metre and a micrometre, by NIfTI's codes; other files are in mm, or do not say
DISPUTED_FROM = 0.05  # of a voxel's length: how far sform and qform may be apart at the next voxel
_ANALYZE = nib.spm2analyze.Spm2AnalyzeHeader  # has no magic number, but the length of NIfTI-1's


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is needed to read the voxels. ``scaling`` is (slope, intercept), None where values are stored as they are.

    ``dtype`` is of numbers, or has the fields R, G, B and perhaps A.

    ``affine`` is to RAS+ mm, whatever the file's unit. ``placed`` is False where neither qform nor sform says how the
    voxels lie, as in Analyze files; ``disputed`` is True where both do, and differ in more than the origin.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    scaling: tuple[float, float] | None
    affine: NDArray[np.float64]
    placed: bool
    disputed: bool
    paired: bool  # the voxels are in a file of their own


def parse_header(block: bytes, limits: LimitSpec, choice: AffineChoice = "best") -> Header:
    """The header at the beginning of ``block``. Raises :class:`Unreadable`, also for more voxels than the limit."""
    header, paired = _checked(block)
    try:
        shape = tuple(int(length) for length in header.get_data_shape())
        dtype = header.get_data_dtype()
        slope, intercept = header.get_slope_inter()
        offset = int(header.get_data_offset())
        affine, placed, disputed = _affine(header, choice)
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # nibabel's own checks raise many kinds
        raise Unreadable("header", type(error).__name__, "the NIfTI header is damaged") from error
    if offset < 0:
        raise Unreadable("vox_offset", "below 0", "the header is damaged")
    _refuse(shape, dtype, limits)
    scaled = slope is not None and (slope, intercept) != (1.0, 0.0) and not dtype.names  # colours have no scale
    return Header(
        shape=shape, dtype=dtype, offset=offset, scaling=(float(slope), float(intercept or 0.0)) if scaled else None,
        affine=affine, placed=placed, disputed=disputed, paired=paired,
    )  # fmt: skip


def nibabel_header(block: bytes) -> Any:
    """nibabel's own header, which has every field. Raises :class:`Unreadable`."""
    return _checked(block)[0]


def _checked(block: bytes) -> tuple[Any, bool]:
    """nibabel's header of any format and byte order, and whether it is one of a pair."""
    for size, sign in ((int.from_bytes(block[:4], "little"), "<"), (int.from_bytes(block[:4], "big"), ">")):
        if size not in _FORMATS or len(block) < size:
            continue
        place, kinds = _FORMATS[size]
        kind = kinds.get(block[place : place + 4], _ANALYZE if size == _ANALYZE.sizeof_hdr else None)
        if kind is None:
            raise Unreadable("magic", "not NIfTI", "not a NIfTI file, or one that is damaged")
        try:
            header = kind(block[:size], sign, check=False)
            header.check_fix(logger=_SILENT)
        except Exception as error:  # which kind depends on the field that is wrong
            raise Unreadable("header", type(error).__name__, "the NIfTI header is damaged") from error
        return header, kind is _ANALYZE or "Pair" in kind.__name__
    raise Unreadable("header", "no NIfTI header", "not a NIfTI file, or one that is truncated or damaged")


def _refuse(shape: tuple[int, ...], dtype: np.dtype[Any], limits: LimitSpec) -> None:
    coloured = (dtype.names or ())[:3] == ("R", "G", "B")
    if not coloured and (dtype.kind not in "iuf" or dtype.itemsize > 8):
        raise Unreadable("datatype", "complex or quadruple", "only real numbers and colours can be read")
    if len(shape) < 2 or min(shape) < 1:
        raise Unreadable("dim", f"{len(shape)} dimensions", "not an image")
    check_values(math.prod(shape), limits, "dim")  # in Python's integers, which cannot overflow
    if any(length > 1 for length in shape[4:]):
        raise Unreadable("dim", f"{len(shape)} dimensions", "holds several values for each voxel, not volumes")


def _affine(header: Any, choice: AffineChoice) -> tuple[NDArray[np.float64], bool, bool]:
    """From voxel indices to RAS+ millimetres, whether the file says so, and whether it says another one too."""
    codes = {name: int(header[f"{name}_code"]) if f"{name}_code" in header else 0 for name in ("sform", "qform")}
    if choice != "best" and codes[choice] < 1:
        raise Unreadable(f"{choice}_code", "0", f"the file has no {choice}; see cohort.volume.affine")
    # Of Analyze without the origin that SPM keeps in it: that is about the place alone, and often left from elsewhere.
    best = "base_affine" if isinstance(header, _ANALYZE) else "best_affine"
    affine = np.asarray(getattr(header, f"get_{best if choice == 'best' else choice}")(), np.float64)
    if _singular(affine):
        raise Unreadable("affine", "singular", "does not place the voxels in space; see cohort.volume.affine")
    if "xyzt_units" in header:
        affine[:3] *= _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    disputed = choice == "best" and min(codes.values()) > 0 and _apart(header)
    return affine, any(code > 0 for code in codes.values()), disputed


def _apart(header: Any) -> bool:
    """Whether sform and qform differ in more than the origin."""
    try:
        sform, qform = header.get_sform(), header.get_qform()
    except (ValueError, nib.spatialimages.HeaderDataError):  # numbers that are no rotation: nobody takes those
        return False
    apart = np.linalg.norm((sform - qform)[:3, :3], axis=0)
    return bool((apart > DISPUTED_FROM * np.linalg.norm(sform[:3, :3], axis=0)).any())


def _singular(affine: NDArray[np.float64]) -> bool:
    with np.errstate(over="ignore"):
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite([*spacing, *affine.ravel()]).all() or not spacing.all():
        return True
    # Of unit columns: the determinant is 1 for a rotation and 0 where two axes of the voxels coincide.
    return bool(abs(np.linalg.det(affine[:3, :3] / spacing)) < 1e-3)
