"""Where slices lie: DICOM positions and directions are LPS+ millimetres, affines RAS+ (NIfTI's convention)."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def normal_of(orientation: Sequence[float]) -> Vector:
    """Unit normal of a plane from its two directions (Image Orientation (Patient)). LPS+."""
    a, b, c, d, e, f = (float(value) for value in orientation)
    # Written out: it is asked for every slice, and np.cross takes twenty times as long for three numbers.
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    return np.asarray(normal, np.float64) / math.hypot(*normal)


def along_normal(position: Sequence[float] | None, orientation: Sequence[float] | None) -> float | None:
    """mm of a slice along the normal of its plane: the order of slices, however the stack is tilted."""
    if position is None or orientation is None:
        return None
    return round(float(normal_of(orientation) @ np.asarray(position, np.float64)), 3)


def orientation_name(orientation: Sequence[float] | None) -> str | None:
    """The anatomical plane closest to that of the two directions."""
    if orientation is None:
        return None
    return ("sagittal", "coronal", "axial")[int(np.abs(normal_of(orientation)).argmax())]


def is_orientation(values: Sequence[float] | None) -> bool:
    """Whether six numbers are two directions of length 1 at a right angle, as far as headers round them."""
    if values is None:
        return False
    first, second = values[:3], values[3:]
    lengths_fit = all(abs(math.hypot(*direction) - 1) <= 0.01 for direction in (first, second))
    return lengths_fit and abs(sum(a * b for a, b in zip(first, second, strict=True))) < 0.01


def affine_of(
    position: Sequence[float] | Vector, orientation: Sequence[float], spacing: Sequence[float], step: Vector
) -> NDArray[np.float64]:
    """``[4, 4]`` from (column, row, slice) to RAS+ mm.

    ``position`` is that of the first slice's first pixel, ``spacing`` that of rows and of columns, ``step`` the way
    from one slice to the next; it need not be the normal, so the affine of a tilted gantry has its shear. All LPS+.
    """
    affine = np.eye(4)
    affine[:3, 0] = np.asarray(orientation[:3], np.float64) * spacing[1]
    affine[:3, 1] = np.asarray(orientation[3:], np.float64) * spacing[0]
    affine[:3, 2], affine[:3, 3] = step, position
    return LPS_TO_RAS @ affine
