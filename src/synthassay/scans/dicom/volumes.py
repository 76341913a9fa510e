"""A stack of slices → one volume."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.dicom.series import Stack
from synthassay.scans.dicom.values import Units
from synthassay.scans.limits import LimitSpec, check_size, check_values
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import Volume


def read_volume(
    root: Path, stack: Stack, limits: LimitSpec, units: Units = "rescaled",
    before_file: Callable[[], object] = lambda: None,
) -> Volume:  # fmt: skip
    """The volume of a stack whose paths are relative to ``root``: ``values`` ``[columns, rows, slices]``.

    ``before_file`` is called before each file is opened.
    Raises :class:`Unreadable` where the stack has a problem, is over ``limits``, is coloured, or a file cannot be read.
    """
    if stack.problem is not None or stack.affine is None:
        raise stack.problem or Unreadable("slices", "no geometry", "its slices are no volume")
    first = stack.slices[0].facts
    check_values(first.rows * first.columns * len(stack.slices), limits, "Rows, Columns, slices")
    values = np.empty((first.columns, first.rows, len(stack.slices)), np.float32)
    wanted: dict[str, dict[int, int]] = {}
    for place, one in enumerate(stack.slices):
        wanted.setdefault(one.path, {})[one.facts.frame] = place
    for path, places in wanted.items():
        before_file()
        _read_file(root / path, places, values, limits, units)
    return Volume(values=values, affine=stack.affine)


def _read_file(
    path: Path, places: Mapping[int, int], values: NDArray[np.float32], limits: LimitSpec, units: Units
) -> None:
    """Fill in the slices of one file; ``places`` are where its frames stand."""
    check_size(path, limits)
    planes = {plane.frame: plane.values for plane in read_planes(path.read_bytes(), limits, units)}
    for frame, place in places.items():
        plane = planes.get(frame)
        if plane is None or plane.shape != values.shape[1::-1]:
            raise Unreadable("PixelData", "another shape", "a slice is coloured, or not as its header says")
        values[:, :, place] = plane.T
