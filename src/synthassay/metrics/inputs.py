"""Checked sets of rows, their directions, and whole rows of distances for what must see all columns at once.

What the metrics share that compare plain ``[n, d]`` sets on their own. Everything is float64, on the device that the
features lie on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from synthassay.errors import UserError
from synthassay.metrics.intervals import unit_codes
from synthassay.metrics.points import Features, checked_tensor, row_blocks

SAME = 1e-13  # squared distance over squared norms under which two rows are one point but for rounding

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """One set: features ``values`` ``[n, d]`` float64 and the resampling unit of each row, ``units`` ``[n]`` codes."""

    name: str
    values: Tensor
    units: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.values.shape[1])

    @property
    def n_units(self) -> int:
        """The number of patients, or of images where each is its own unit."""
        return int(self.units.max(initial=-1)) + 1

    def on_device(self, array: NDArray[np.generic]) -> Tensor:
        """``array`` as a tensor beside the features."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.values.device)


def checked_rows(
    name: str, features: Features, units: ArrayLike | None = None, *, like: Rows | None = None, least: int = 1
) -> Rows:
    """``features`` ``[n, d]`` and ``units`` ``[n]`` (None: each row its own), checked, in float64.

    They must have the columns of ``like`` and are brought to its device. An error if fewer than ``least`` rows are
    there, or as :func:`~synthassay.metrics.points.checked_tensor` says.
    """
    values = checked_tensor(name, features, None if like is None else like.values.device).double()
    n, d = values.shape
    if n < least:
        raise UserError(f"'{name}' has {n} rows of features; at least {least} are needed")
    if like is not None and d != like.dimension:
        raise UserError(
            f"features of '{name}' have {d} columns, expected {like.dimension} as '{like.name}' has: "
            "use one encoder for all sets"
        )
    codes = np.arange(n) if units is None else unit_codes(units)
    if len(codes) != n:
        raise UserError(f"'{name}' has {n} rows of features and {len(codes)} patients")
    return Rows(name, values, codes)


def directions(rows: Rows) -> Rows:
    """``rows`` scaled to unit length; an error names a row of zeros, which has no direction."""
    lengths = torch.linalg.vector_norm(rows.values, dim=1, keepdim=True)
    empty = (lengths == 0).flatten().nonzero().flatten().tolist()
    if empty:
        raise UserError(f"row {empty[0]} of '{rows.name}' is all zeros and has no direction ({len(empty)} such rows)\n"
                        "look at these images, or leave them out")  # fmt: skip
    return Rows(rows.name, rows.values / lengths, rows.units)


def distance_tiles(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of each block of rows of ``x`` to all of ``y``; 0 for equal rows."""
    centre = y.mean(dim=0)  # smaller norms lose fewer digits
    y = y - centre
    lengths = torch.linalg.vecdot(y, y)
    for rows in row_blocks(len(x), len(y)):
        block = x[rows] - centre
        scale = torch.linalg.vecdot(block, block)[:, None] + lengths
        squares = torch.addmm(scale, block, y.T, alpha=-2)
        squares[squares < SAME * scale] = 0.0
        yield rows, squares
