"""Where a slice lies: DICOM positions and directions, in LPS+ millimetres."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def along_normal(position: Sequence[Any] | None, orientation: Sequence[Any] | None) -> float | None:
    """mm of a slice along the normal of its plane: the order of slices, however the stack is tilted."""
    if not position or not orientation or len(position) != 3 or len(orientation) != 6:
        return None
    directions = np.asarray([float(value) for value in orientation])
    return round(float(np.cross(directions[:3], directions[3:]) @ [float(value) for value in position]), 3)


def orientation_name(directions: Sequence[Any] | None) -> str | None:
    """The anatomical plane closest to that of ``directions`` (Image Orientation (Patient))."""
    if not directions or len(directions) != 6:
        return None
    values = np.asarray([float(value) for value in directions])
    return ("sagittal", "coronal", "axial")[int(np.abs(np.cross(values[:3], values[3:])).argmax())]


def spacing_of(measures: Any) -> tuple[float, ...] | None:
    """Rows, columns and, where it is written, slices in mm; ``measures`` is a dataset or its pixel measures."""
    in_plane = measures.get("PixelSpacing") or measures.get("ImagerPixelSpacing")
    if not in_plane or len(in_plane) != 2:
        return None
    between = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    return tuple(float(value) for value in ([*in_plane, between] if between else in_plane))
