"""How volumes lie: the closest RAS order, how far they are tilted from it, and slices as radiologists see them."""

import math
from dataclasses import replace
from typing import Any, Literal

import nibabel
import numpy as np
from numpy.typing import NDArray

from synthassay.scans.volumes import Volume

nib: Any = nibabel  # its stubs are partial
Axis = Literal["axial", "coronal", "sagittal"]
AXES: dict[Axis, int] = {"sagittal": 0, "coronal": 1, "axial": 2}
OBLIQUE_FROM = 1.0  # degrees


def upright(volume: Volume) -> Volume:
    """The same voxels in the order that is closest to RAS: x grows to the right, y to the front, z to the top."""
    ornt = nib.orientations.io_orientation(volume.affine)
    if np.array_equal(ornt, [[0, 1], [1, 1], [2, 1]]):
        return volume
    turned = {
        name: nib.orientations.apply_orientation(array, ornt)  # a view
        for name, array in (("values", volume.values), ("mask", volume.mask)) if array is not None
    }  # fmt: skip
    affine = volume.affine @ nib.orientations.inv_ornt_aff(ornt, volume.values.shape[:3])
    return replace(volume, affine=affine, **turned)


def tilt(volume: Volume) -> float:
    """Degrees between the volume's axes and the closest of the patient's, at most."""
    return math.degrees(float(np.max(nib.affines.obliquity(volume.affine))))


def described(volume: Volume, axis: Axis) -> str | None:
    """How slices along ``axis`` lie, for the record; None where the file does not say."""
    if not volume.placed:
        return None
    degrees = tilt(volume)
    return axis if degrees < OBLIQUE_FROM else f"{axis}, oblique by {degrees:.0f} degrees"


def stack(values: NDArray[Any], axis: Axis) -> NDArray[Any]:
    """``[x, y, z]`` or ``[x, y, z, 3]`` in RAS order → a view ``[slice, row, column]`` or with the colours last.

    Anterior (axial) or superior is at the top and the patient's right at the left (sagittal: anterior at the left).
    """
    along = np.moveaxis(values, AXES[axis], 0)
    return along.swapaxes(1, 2)[:, ::-1, ::-1]


def unstack(values: NDArray[Any], axis: Axis) -> NDArray[Any]:
    """``[slice, row, column]`` → a view ``[x, y, z]``: what :func:`stack` makes the same slices of."""
    return np.moveaxis(values[:, ::-1, ::-1].transpose(0, 2, 1), 0, AXES[axis])


def stack_spacing(volume: Volume, axis: Axis) -> tuple[float, float, float]:
    """mm between the rows, the columns and the slices of :func:`stack`."""
    spacing = volume.spacing_mm
    columns, rows = (spacing[other] for other in range(3) if other != AXES[axis])
    return rows, columns, spacing[AXES[axis]]


def from_stack_order(values: tuple[float, float, float], axis: Axis) -> tuple[float, float, float]:
    """Numbers for slices, rows and columns → the same for x, y and z."""
    slices, rows, columns = values
    placed = {AXES[axis]: slices}
    first, second = (other for other in range(3) if other != AXES[axis])
    placed |= {first: columns, second: rows}
    return placed[0], placed[1], placed[2]
