"""Volumes on another grid: another spacing, the patient's axes, a box of another shape."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import Volume


def regrid(volume: Volume, spacing: Sequence[float] | None, straighten: bool, limits: LimitSpec) -> Volume:
    """The volume with ``spacing`` (mm along x, y, z; None: its own), turned onto the patient's axes on request.

    Values are trilinear, smoothed first along axes that get coarser (as MONAI and scikit-image do before they shrink);
    what lies outside the source is its lowest value. The mask takes the nearest voxel. Raises :class:`Unreadable` for
    colours, and where the new grid has more voxels than the limit.
    """
    own = volume.spacing_mm
    target = tuple(own if spacing is None else spacing)
    if not straighten and np.allclose(target, own, rtol=1e-3):
        return volume
    if volume.values.ndim > 3:
        raise Unreadable("datatype", "colours", "colours are not resampled; see cohort.volume.spacing_mm and oblique")
    _refuse_large(volume, target, straighten, limits)
    import torch
    from monai.data.meta_tensor import MetaTensor
    from monai.transforms.spatial.array import Spacing

    def moved(values: NDArray[Any], mode: str, padding: str) -> Any:
        transform = Spacing(target, diagonal=straighten, mode=mode, padding_mode=padding)
        image = np.ascontiguousarray(values[None], np.float32)
        return transform(MetaTensor(image, affine=torch.as_tensor(volume.affine)))

    lowest = volume.values.min()
    padding = "zeros" if straighten else "border"
    result = moved(_smoothed(volume.values - lowest, own, target), "bilinear", padding)
    mask = None if volume.mask is None else moved(volume.mask, "nearest", "zeros")[0].numpy().astype(volume.mask.dtype)
    values = result[0].numpy().astype(np.float32) + lowest
    return replace(volume, values=values, affine=result.affine.numpy(), mask=mask)


def _refuse_large(volume: Volume, target: Sequence[float], straighten: bool, limits: LimitSpec) -> None:
    extent = [max(1.0, size * step) for size, step in zip(volume.values.shape, volume.spacing_mm, strict=True)]
    if straighten:  # the box around the turned volume
        extent = [max(1.0, side) for side in np.abs(volume.affine[:3, :3]) @ volume.values.shape]
    count = math.prod(side / step + 1 for side, step in zip(extent, target, strict=True))
    if not count <= limits.voxels:
        raise Unreadable("pixdim", "a large volume", "more voxels than limits.voxels after resampling")


def _smoothed(values: NDArray[np.float32], own: Sequence[float], target: Sequence[float]) -> NDArray[np.float32]:
    sigmas = [max(0.0, (new / old - 1) / 2) for old, new in zip(own, target, strict=True)]
    if not any(sigmas):
        return values
    return np.asarray(ndimage.gaussian_filter(values, sigmas, mode="nearest"), np.float32)


def boxed(values: NDArray[Any], shape: Sequence[int], centre: Sequence[float] | None, padding: float) -> NDArray[Any]:
    """``[d, h, w]`` cropped and padded to ``shape`` around ``centre`` (a voxel; None: the middle)."""
    import torch
    from monai.transforms.croppad.array import BorderPad, SpatialCrop

    middle = [(length - 1) / 2 for length in values.shape] if centre is None else list(centre)
    starts = [math.ceil(place - (length - 1) / 2 - 0.5) for place, length in zip(middle, shape, strict=True)]
    ends = [start + length for start, length in zip(starts, shape, strict=True)]
    borders = [
        extra for start, end, length in zip(starts, ends, values.shape, strict=True)
        for extra in (max(0, -start), max(0, end - length))
    ]  # fmt: skip
    stored = np.uint8 if values.dtype == np.bool_ else values.dtype
    image = torch.from_numpy(np.ascontiguousarray(values, stored)[None])
    padded = BorderPad(borders, mode="constant", value=padding)(image)
    moved = [start + max(0, -start) for start in starts]
    crop = SpatialCrop(roi_start=moved, roi_end=[start + length for start, length in zip(moved, shape, strict=True)])
    return np.asarray(crop(padded)[0], values.dtype)


def centre_of(marked: NDArray[np.bool_]) -> tuple[float, ...] | None:
    """The centre of gravity of the marked voxels; None where there are none."""
    if not marked.any():
        return None
    return tuple(float(place) for place in ndimage.center_of_mass(marked))
