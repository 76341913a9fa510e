"""One volume as its reader found it, whatever the format, and the settings of what is done to volumes."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from synthassay.specs import Spec

AffineChoice = Literal["best", "sform", "qform"]
VolumeIndex = Annotated[int, Field(ge=0)] | Literal["mean"] | None
NotANumber = Literal["refuse", "background"]
Millimetres = Annotated[float, Field(gt=0)]
Length = Annotated[int, Field(ge=8, le=2048)]


class VolumeSpec(Spec):
    """How volumes are read and brought to one grid. Lists are in the order slices, rows, columns.

    ``index`` is the volume of a 4-D file: a number from 0, or ``mean``. ``affine``: of NIfTI's two, the sform before
    the qform (``best``), or one of them. ``spacing_mm`` resamples, trilinear with smoothing where the grid gets
    coarser; ``oblique=resample`` turns a tilted volume onto the patient's axes. ``shape`` and ``centre`` are for
    ``cohort.dimensions=3``: volumes are cropped or padded around the centre of the volume, of its foreground or of its
    mask.
    """

    kind: Literal["volume"] = "volume"
    index: VolumeIndex = None
    affine: AffineChoice = "best"
    oblique: Literal["keep", "resample"] = "keep"
    spacing_mm: Millimetres | tuple[Millimetres, Millimetres, Millimetres] | None = None
    shape: tuple[Length, Length, Length] | None = None
    centre: Literal["volume", "foreground", "mask"] = "volume"

    def stack_spacing(self) -> tuple[float, float, float] | None:
        """``spacing_mm`` for slices, rows and columns; None where volumes keep their own."""
        if self.spacing_mm is None or isinstance(self.spacing_mm, tuple):
            return self.spacing_mm
        return self.spacing_mm, self.spacing_mm, self.spacing_mm


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """``values``: ``[x, y, z]`` float32, rescaled units, or colours ``[x, y, z, 3]``, 0 to 255. ``affine``: ``[4, 4]``
    float64 from voxel indices to RAS+ millimetres (NIfTI's convention; a DICOM position (x, y, z) in LPS+ is (-x, -y,
    z) here). ``mask``: ``[x, y, z]`` on the same grid, the values of the mask's file. ``placed`` is False where the
    file does not say how its voxels lie, ``disputed`` True where it says so twice and not the same. ``filled``: how
    many voxels of the file are no numbers, and have its lowest value here."""

    values: NDArray[np.float32]
    affine: NDArray[np.float64]
    mask: NDArray[np.float32] | None = None
    placed: bool = True
    disputed: bool = False
    filled: int = 0

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels along each axis of ``values``."""
        first, second, third = (float(step) for step in np.linalg.norm(self.affine[:3, :3], axis=0))
        return first, second, third
