"""Masks on the grid of their scan, by what both files say about where they lie."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synthassay.scans.limits import LimitSpec
from synthassay.scans.nifti.volume import NiftiFile, read_volume
from synthassay.scans.orientation import upright
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import AffineChoice, NotANumber, Volume

SAME_PLACE = 1e-2  # largest difference of two affines that mean one grid


def read_mask(
    file: NiftiFile, scan: Volume, limits: LimitSpec, affine: AffineChoice = "best", not_a_number: NotANumber = "refuse"
) -> NDArray[np.float32]:
    """The mask's values ``[x, y, z]`` on the grid of ``scan``, which is upright.

    Where NaN is not refused it marks nothing. A mask of another shape is resampled to its nearest voxels. Raises
    :class:`Unreadable` where the two files do not say how they lie to each other, or contradict each other.
    """
    # A mask may be empty, so its file may be very small; what it inflates to is still bounded by the scan's limit.
    limits = limits.model_copy(update={"gzip_ratio": 1 << 20})
    try:
        mask = upright(read_volume(file, limits, None, affine, "refuse" if not_a_number == "refuse" else "zero"))
    except Unreadable as error:
        raise Unreadable(f"mask {error.field}", error.found, f"the mask cannot be used: {error.reason}") from error
    if mask.values.ndim > 3:
        raise Unreadable("mask datatype", "colours", "the mask cannot be used: it holds colours")
    if mask.values.shape == scan.values.shape[:3]:
        if not np.allclose(mask.affine, scan.affine, atol=SAME_PLACE):
            raise Unreadable("mask affine", "another one", "mask and scan have one shape and lie differently in space")
        return mask.values
    if not (mask.placed and scan.placed):
        found = " against ".join("x".join(map(str, one.values.shape[:3])) for one in (mask, scan))
        raise Unreadable("mask dim", found, "mask and scan differ in shape, and the headers do not say how they lie")
    return _on_grid(mask, scan)


def _on_grid(mask: Volume, scan: Volume) -> NDArray[np.float32]:
    """The nearest voxel of the mask at every voxel of the scan; 0 outside of the mask."""
    to_mask = np.linalg.inv(mask.affine) @ scan.affine
    corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    corners[:, :3] *= np.array(scan.values.shape[:3]) - 1
    reached = (corners @ to_mask.T)[:, :3]
    if (reached.max(0) < -0.5).any() or (reached.min(0) > np.array(mask.values.shape) - 0.5).any():
        raise Unreadable("mask affine", "no overlap", "mask and scan lie in different places")
    moved = ndimage.affine_transform(
        mask.values, to_mask[:3, :3], to_mask[:3, 3], scan.values.shape[:3], order=0, mode="constant"
    )  # fmt: skip
    if (mask.values > 0).any() and not (moved > 0).any():
        raise Unreadable("mask affine", "no overlap", "what the mask marks lies outside of the scan")
    return np.asarray(moved, np.float32)
