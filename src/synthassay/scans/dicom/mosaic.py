"""Siemens mosaics: the slices of one volume as tiles of one picture. How many, and their direction, is private."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.scans.dicom.attributes import listed, number_of, numbers_of, private_number_of, value_of
from synthassay.scans.dicom.geometry import is_orientation, normal_of
from synthassay.scans.unreadable import Unreadable

UNTOLD = "many slices in one picture, and how they are arranged is not written"
COUNT = ("SIEMENS MR HEADER", 0x0019, 0x0A)  # Number of Images in Mosaic
GRID = ("Image Private Header", 0x0065, 0x50)  # how many slices a picture of United Imaging has


@dataclass(frozen=True, slots=True)
class Mosaic:
    """``count`` tiles of ``rows`` × ``columns`` in a square grid, row by row; ``positions`` are LPS+ mm."""

    count: int
    rows: int
    columns: int
    positions: tuple[tuple[float, ...], ...]

    def tiles(self, picture: NDArray[Any]) -> list[NDArray[Any]]:
        """The slices ``[rows, columns]`` of a picture, views of it."""
        side = picture.shape[1] // self.columns
        corners = [(self.rows * (i // side), self.columns * (i % side)) for i in range(self.count)]
        return [picture[top : top + self.rows, left : left + self.columns] for top, left in corners]


def is_mosaic(dataset: Any) -> bool:
    """Whether the picture of a file is made of tiles. Raises :class:`Unreadable` for those of another maker."""
    if (private_number_of(dataset, *GRID) or 1) > 1:
        raise Unreadable("(0065,xx50)", "above 1", "many slices in one picture, arranged as only United Imaging does")
    return "MOSAIC" in listed(value_of(dataset, "ImageType"))


def mosaic_of(dataset: Any) -> Mosaic:
    """The layout of a mosaic. Raises :class:`Unreadable` where the private attributes that tell it are not there."""
    count, between = int(private_number_of(dataset, *COUNT) or 0), number_of(dataset, "SpacingBetweenSlices")
    side = math.ceil(math.sqrt(max(0, count)))
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    position, spacing = numbers_of(dataset, "ImagePositionPatient", 3), numbers_of(dataset, "PixelSpacing", 2)
    orientation = numbers_of(dataset, "ImageOrientationPatient", 6)
    if position is None or spacing is None or orientation is None or not is_orientation(orientation) or not between:
        raise Unreadable("ImageType", "MOSAIC", UNTOLD)
    if count < 1 or rows % side or columns % side:
        raise Unreadable("ImageType", "MOSAIC", UNTOLD)
    tile = (rows // side, columns // side)
    # The position is written as if the whole picture were one slice about the same centre.
    corner = (np.asarray(position) + np.asarray(orientation[:3]) * spacing[1] * (columns - tile[1]) / 2
              + np.asarray(orientation[3:]) * spacing[0] * (rows - tile[0]) / 2)  # fmt: skip
    step = _direction(dataset, orientation) * between
    positions = tuple(tuple(float(value) for value in corner + i * step) for i in range(count))
    return Mosaic(count, *tile, positions)


def _direction(dataset: Any, orientation: tuple[float, ...]) -> NDArray[np.float64]:
    """Unit vector from the first tile to the second; the private header says to which side of the plane it points."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel calls its DICOM readers experimental
        from nibabel.nicom import csareader

    reader: Any = csareader  # its functions have no types
    header = reader.get_csa_header(dataset, "image")
    written = reader.get_slice_normal(header) if header else None
    normal = normal_of(orientation)
    if written is None or abs(abs(float(np.dot(written, normal))) - 1) > 0.01:
        raise Unreadable("ImageType", "MOSAIC", UNTOLD)
    return normal if float(np.dot(written, normal)) > 0 else -normal
