"""One image as its reader found it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPlane:
    """One image as its reader found it: ``values`` ``[h, w]`` grey or ``[h, w, 3]`` colour, float32, rescaled units."""

    values: FloatArray
    frame: int = 0
    slice_index: int | None = None
    slice_position: float | None = None
    mask: NDArray[np.float32] | None = None  # [h, w], the values of the mask's file
    spacing_mm: tuple[float, ...] | None = None
    orientation: str | None = None
