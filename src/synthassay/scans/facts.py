"""What is written about an image beside its pixels, whatever the format; what is unknown is None."""

import math
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synthassay.scans.orientation import Axis

Making = Literal["scanned", "generated"]
Direction = tuple[float, float, float]

UNIT = 1e-4  # how far direction cosines may be from unit length and from a right angle
LEFT, BACK, TOP = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)  # LPS+, as in DICOM
RIGHT, FRONT, BOTTOM = (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)
# Where columns, rows and slices run in a stack as :func:`synthassay.scans.orientation.stack` makes it.
SHOWN: dict[Axis, tuple[Direction, Direction, Direction]] = {
    "axial": (LEFT, BACK, TOP),
    "coronal": (LEFT, BOTTOM, FRONT),
    "sagittal": (BACK, BOTTOM, RIGHT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """How far apart the pixels of an image lie, and where. mm and LPS+.

    ``spacing``: of rows, and of columns. ``axis``: the anatomical plane that is shown, as radiologists see it, where no
    more is known. ``directions``: unit vector along a row (to the next column), then along a column; ``position``: the
    centre of the first pixel. ``step``: from one slice to the next, or the thickness of a slice.
    """

    spacing: tuple[float, float]
    step: float | None = None
    axis: Axis | None = None
    directions: tuple[float, float, float, float, float, float] | None = None
    position: Direction | None = None

    def __post_init__(self) -> None:
        lengths = [*self.spacing, *(() if self.step is None else (self.step,))]
        if not all(math.isfinite(length) and length > 0 for length in lengths):
            raise ValueError(f"spacing and step must be above 0 mm, got {lengths}")
        if (self.directions is None) != (self.position is None):
            raise ValueError("directions and position are known together or not at all")
        if self.directions is not None:
            row, column = np.array(self.directions[:3]), np.array(self.directions[3:])
            if max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column)) > UNIT:
                raise ValueError(f"directions {self.directions} are no two unit vectors at a right angle")

    def affine(self) -> NDArray[np.float64] | None:
        """``[4, 4]`` from (column, row, slice) to RAS+ mm; None where not even the plane that is shown is known."""
        if self.directions is not None and self.position is not None:
            row, column = np.array(self.directions[:3]), np.array(self.directions[3:])
            along, origin = np.cross(row, column), np.array(self.position)
        elif self.axis is not None:
            row, column, along = (np.array(direction) for direction in SHOWN[self.axis])
            origin = np.zeros(3)
        else:
            return None
        found = np.eye(4)
        found[:3, 0], found[:3, 1] = row * self.spacing[1], column * self.spacing[0]
        found[:3, 2], found[:3, 3] = along * (self.step or 1.0), origin
        found[:2] *= -1.0  # LPS+ to RAS+
        return found


def slice_grid(grid: Grid, index: int) -> Grid:
    """The grid of slice ``index`` of a volume of which the plane and the step are known, from the volume's first pixel.

    A frame of reference has its origin where one likes (DICOM PS3.3 C.7.4.1), so the first pixel is a place.
    """
    if grid.axis is None or grid.step is None:
        raise ValueError("the slices of a volume lie somewhere only where their plane and their step are known")
    row, column, along = SHOWN[grid.axis]
    x, y, z = (index * grid.step * part for part in along)
    return Grid(spacing=grid.spacing, step=grid.step, directions=(*row, *column), position=(x, y, z))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """One image. ``patient``, ``study``, ``series`` and ``image`` are pseudonyms or numbers, never identifiers.

    ``made``: whether a scanner or a model (or a simulation) made the image, and ``maker`` what software, where it was
    not scanned. ``source``: the set it belongs to. ``namespace``: the content of that set; UIDs follow from it and from
    the four names. ``number`` counts from 1 within the series.
    """

    namespace: str
    source: str
    image: str
    patient: str
    study: str
    series: str
    number: int
    made: Making
    maker: str = "unknown"
    label: str | None = None
    split: str | None = None
    seed: int | None = None
    site: str | None = None
    device: str | None = None
    view: str | None = None
    sex: str | None = None
    age: float | None = None
    modality: str | None = None
    grid: Grid | None = None


TABLE = ("image", "patient", "study", "label", "site", "device", "view", "sex", "age", "split", "seed")
assert set(TABLE) <= {field.name for field in fields(ImageFacts)}


def table_row(facts: ImageFacts) -> dict[str, str]:
    """The columns of :data:`TABLE` as text, ``""`` where unknown; an age of whole years without a decimal point."""

    def text(value: object) -> str:
        return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

    return {name: text(getattr(facts, name)) for name in TABLE}
