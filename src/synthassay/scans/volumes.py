"""One volume as its reader found it, whatever the format."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """``values``: ``[x, y, z]`` float32, rescaled units. ``affine``: ``[4, 4]`` float64 from voxel indices to RAS+
    millimetres (NIfTI's convention; a DICOM position (x, y, z) in LPS+ is (-x, -y, z) here). ``mask``: ``[x, y, z]`` on
    the same grid."""

    values: NDArray[np.float32]
    affine: NDArray[np.float64]
    mask: NDArray[np.bool_] | None = None

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels along each axis of ``values``."""
        first, second, third = (float(step) for step in np.linalg.norm(self.affine[:3, :3], axis=0))
        return first, second, third
