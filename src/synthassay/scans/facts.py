"""What is written about an image beside its pixels, whatever the format; what is unknown is None."""

import math
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

UNIT = 1e-4  # how far direction cosines may be from unit length and from a right angle
Making = Literal["scanned", "generated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """Where the pixels of an image lie. mm and LPS+, as in DICOM.

    ``spacing``: distance of rows, then of columns. ``directions``: unit vector along a row (to the next column), then
    along a column. ``position``: the centre of the first pixel. ``thickness``: of the slice.
    """

    spacing: tuple[float, float]
    directions: tuple[float, float, float, float, float, float] | None = None
    position: tuple[float, float, float] | None = None
    thickness: float | None = None

    def __post_init__(self) -> None:
        lengths = [*self.spacing, *(() if self.thickness is None else (self.thickness,))]
        if not all(math.isfinite(length) and length > 0 for length in lengths):
            raise ValueError(f"spacing and thickness must be above 0 mm, got {lengths}")
        if (self.directions is None) != (self.position is None):
            raise ValueError("directions and position are known together or not at all")
        if self.directions is not None:
            row, column = np.array(self.directions[:3]), np.array(self.directions[3:])
            if max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column)) > UNIT:
                raise ValueError(f"directions {self.directions} are no two unit vectors at a right angle")

    def affine(self, step: float | None = None) -> NDArray[np.float64] | None:
        """``[4, 4]`` from (column, row, slice) indices to RAS+ mm; None where the place is not known.

        ``step``: mm to the next slice (None: the thickness, else 1).
        """
        if self.directions is None or self.position is None:
            return None
        row, column = np.array(self.directions[:3]), np.array(self.directions[3:])
        found = np.eye(4)
        found[:3, 0], found[:3, 1] = row * self.spacing[1], column * self.spacing[0]
        found[:3, 2] = np.cross(row, column) * (step or self.thickness or 1.0)
        found[:3, 3] = self.position
        found[:2] *= -1.0  # LPS+ to RAS+
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """One image. ``patient``, ``study`` and ``image`` are pseudonyms or numbers, never identifiers.

    ``made``: whether a scanner or a model (or a simulation) made the image, and ``maker`` what software, where it was
    not scanned. ``source``: the set it belongs to. ``namespace``: the content of that set; UIDs follow from it and from
    the three names. ``number`` counts from 1.
    """

    namespace: str
    source: str
    image: str
    patient: str
    study: str
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
    plane: Plane | None = None


TABLE = ("image", "patient", "study", "label", "site", "device", "view", "sex", "age", "split", "seed")
assert set(TABLE) <= {field.name for field in fields(ImageFacts)}


def table_row(facts: ImageFacts) -> dict[str, str]:
    """The columns of :data:`TABLE` as text, ``""`` where unknown; an age of whole years without a decimal point."""

    def text(value: object) -> str:
        return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

    return {name: text(getattr(facts, name)) for name in TABLE}
