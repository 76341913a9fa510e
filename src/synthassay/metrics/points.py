"""Checked features with one resampling unit a row, and their inner products and squared distances.

Everything is float64. Sets that are compared are centred on one common point, usually the mean of the real test
images: norms become small and squared distances lose no digits, and the uncentred inner product that polynomial
kernels need follows exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthassay.errors import UserError
from synthassay.metrics.intervals import unit_codes

BLOCK_ENTRIES = 1 << 22  # float64 entries of one tile: 32 MiB
SAME_POINT = 1e-13  # squared distance over squared norms under which two rows are one point but for rounding
TIE = 1e-11  # relative; distances this close are equal but for rounding, so neither is strictly smaller


def checked_features(name: str, features: ArrayLike) -> NDArray[np.float64]:
    """``features`` as ``[n, d]`` float64; an error names the set, and the row and column of a value not finite."""
    array = np.asarray(features)
    if array.ndim != 2 or array.shape[1] == 0:
        raise UserError(f"features of '{name}' must be [n, d], found the shape {array.shape}")
    if array.dtype.kind != "f":
        raise UserError(
            f"features of '{name}' must be floating point, found {array.dtype}: differences of unsigned integers wrap"
        )
    values = array.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise UserError(f"features of '{name}' hold {values[row, column]} at row {row}, column {column}\n"
                        f"{int((~finite.all(axis=1)).sum())} of {len(values)} rows are affected; encode them again or "
                        "leave them out")  # fmt: skip
    return values


@dataclass(frozen=True, slots=True)
class Points:
    """A set of feature vectors, rows ordered by resampling unit.

    ``vectors``: ``[n, d]`` float64 less the common centre; ``units``: ``[n]`` codes 0, 1, ... in ascending order;
    ``norms``: ``[n]`` squared norms; ``shift``: ``[n]`` inner products with the centre; ``pivot``: its squared norm.
    """

    name: str
    vectors: NDArray[np.float64]
    units: NDArray[np.int64]
    norms: NDArray[np.float64]
    shift: NDArray[np.float64]
    pivot: float

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.vectors.shape[1])

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Images in each unit."""
        return np.bincount(self.units)

    @property
    def n_units(self) -> int:
        """The number of patients, or of images where each is its own unit."""
        return int(self.units[-1]) + 1 if len(self.units) else 0

    @property
    def clustered(self) -> bool:
        """Whether any unit has more than one image."""
        return self.n_units < len(self)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """The points at ``rows`` (indices into this set, any order)."""
        kept = np.sort(rows)
        return type(self)(self.name, self.vectors[kept], unit_codes(self.units[kept]), self.norms[kept],
                          self.shift[kept], self.pivot)  # fmt: skip

    def blocks(self, width: int) -> Iterator[slice]:
        """Row ranges that end where a unit ends, of about ``BLOCK_ENTRIES / width`` rows."""
        ends = np.cumsum(self.sizes)
        rows = max(1, BLOCK_ENTRIES // max(1, width))
        start = 0
        while start < len(self):
            last = int(np.searchsorted(ends, start + rows, side="right")) - 1
            stop = int(ends[max(last, int(self.units[start]))])
            yield slice(start, stop)
            start = stop


def centred_points(
    name: str, features: ArrayLike, units: ArrayLike | None = None, centre: NDArray[np.float64] | None = None
) -> Points:
    """Points from ``[n, d]`` features and ``[n]`` names of units (None: each row is its own unit).

    ``centre`` ``[d]`` must be the same for all sets that are compared (None: the origin).
    """
    values = checked_features(name, features)
    codes = np.arange(len(values)) if units is None else unit_codes(units)
    if len(codes) != len(values):
        raise UserError(f"'{name}' has {len(values)} rows of features and {len(codes)} patients")
    order = np.argsort(codes, kind="stable")
    middle = np.zeros(values.shape[1]) if centre is None else centre
    if len(middle) != values.shape[1]:
        raise UserError(f"features of '{name}' have {values.shape[1]} columns, expected {len(middle)}")
    vectors = values[order] - middle
    return Points(name, vectors, codes[order], np.einsum("nd,nd->n", vectors, vectors), vectors @ middle,
                  float(middle @ middle))  # fmt: skip


def inner_products(x: Points, y: Points, rows: slice) -> NDArray[np.float64]:
    """``[rows, len(y)]`` inner products of the centred vectors ``x[rows]`` and ``y``."""
    return x.vectors[rows] @ y.vectors.T


def squared_distances(x: Points, y: Points, rows: slice, products: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[rows, len(y)]`` squared distances from :func:`inner_products`; exactly 0 for equal rows."""
    scale = x.norms[rows, None] + y.norms[None, :]
    distances: NDArray[np.float64] = scale - 2 * products
    distances[distances < SAME_POINT * scale] = 0.0
    return distances


def polynomial_kernel(x: Points, y: Points, rows: slice, products: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[rows, len(y)]`` values of (x·y/d + 1)³ on the uncentred vectors."""
    base = products + x.shift[rows, None]
    base += y.shift[None, :] + y.pivot
    base /= x.dimension
    base += 1.0
    cube: NDArray[np.float64] = base * base
    cube *= base
    return cube
