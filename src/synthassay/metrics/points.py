"""Checked features with one resampling unit a row, read block by block and centred on one common point.

The features stay as they were given, in their own precision and on their own device; a block is centred when it is
read. Sets that are compared share a centre, usually the mean of the real test images: norms become small, squared
distances lose no digits, and the uncentred inner product that polynomial kernels need follows exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from synthassay.errors import UserError
from synthassay.metrics.intervals import unit_codes

BLOCK_ENTRIES = 1 << 21  # entries of one block of a table: 16 MiB in double
VECTOR_ENTRIES = 1 << 18  # of one block of vectors read in double: 2 MiB, which stays in the cache

Features = ArrayLike | Tensor


def checked_tensor(name: str, features: Features, device: str | torch.device | None = None) -> Tensor:
    """``features`` as a ``[n, d]`` floating point tensor, not copied; an error names the set, the row and the column.

    ``device``: where it must lie (None: where it is).
    """
    if not isinstance(features, Tensor):
        array = np.asarray(features)
        if array.dtype == object or array.dtype.kind not in "fiub":
            raise UserError(f"features of '{name}' must be floating point, found {array.dtype}")
        if not array.dtype.isnative or not array.flags.writeable or any(s < 0 for s in array.strides):
            array = np.array(array, array.dtype.newbyteorder("="))
        features = torch.from_numpy(array.astype(np.float64) if array.dtype == np.longdouble else array)
    values = features.detach().to(device or features.device)
    if values.ndim != 2 or values.shape[1] == 0:
        raise UserError(f"features of '{name}' must be [n, d], found the shape {tuple(values.shape)}")
    if not values.is_floating_point():
        kind = str(values.dtype).removeprefix("torch.")
        raise UserError(f"features of '{name}' must be floating point, found {kind}: differences of unsigned "
                        "integers wrap")  # fmt: skip
    for rows in row_blocks(len(values), values.shape[1], VECTOR_ENTRIES):
        block = values[rows]
        if not torch.isfinite(block.sum()) and not torch.isfinite(block).all():  # a sum of finite numbers may overflow
            _refuse(name, values)
    return values


def _refuse(name: str, values: Tensor) -> None:
    finite = torch.isfinite(values)
    row, column = (~finite).nonzero()[0].tolist()
    raise UserError(f"features of '{name}' hold {float(values[row, column])} at row {row}, column {column}\n"
                    f"{int((~finite.all(dim=1)).sum())} of {len(values)} rows are affected; encode them again or "
                    "leave them out")  # fmt: skip


def checked_features(name: str, features: Features) -> NDArray[np.float64]:
    """``features`` as a ``[n, d]`` float64 array; an error names the set, and the row and column of a bad value."""
    return np.asarray(checked_tensor(name, features).double().cpu().numpy())


def row_blocks(n: int, width: int, entries: int | None = None) -> Iterator[slice]:
    """Ranges of ``n`` rows with about ``entries`` (None: ``BLOCK_ENTRIES``) in each at ``width`` entries a row."""
    step = max(1, (entries or BLOCK_ENTRIES) // max(1, width))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))


def mean_of(name: str, features: Features) -> Tensor:
    """``[d]`` float64 mean of the rows, added up block by block."""
    values = checked_tensor(name, features)
    if not len(values):
        raise UserError(f"'{name}' has no rows")
    total = torch.zeros(values.shape[1], dtype=torch.float64, device=values.device)
    for rows in row_blocks(len(values), values.shape[1], VECTOR_ENTRIES):
        total += values[rows].double().sum(dim=0)
    return total / len(values)


@dataclass(frozen=True, slots=True)
class Points:
    """A set of feature vectors, rows ordered by resampling unit.

    ``source``: the features as given, ``[N, d]``; ``rows``: ``[n]`` rows of it; ``units``: ``[n]`` codes 0, 1, ... in
    ascending order; ``centre``: ``[d]`` float64; ``norms``: ``[n]`` squared norms of the centred vectors; ``shift``:
    ``[n]`` their inner products with the centre, whose own squared norm is ``pivot``.
    """

    name: str
    source: Tensor
    rows: Tensor
    units: NDArray[np.int64]
    centre: Tensor
    norms: Tensor
    shift: Tensor
    pivot: float

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.source.shape[1])

    @property
    def device(self) -> torch.device:
        """Where the features lie, and where what follows from them is computed."""
        return self.source.device

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

    @property
    def given(self) -> Tensor:
        """``[n, d]`` features as they were given, in this order."""
        return self.source[self.rows]

    def vectors(
        self, rows: slice | Tensor = slice(None), dtype: torch.dtype = torch.float64, out: Tensor | None = None
    ) -> Tensor:  # fmt: skip
        """``[b, d]`` centred vectors; subtracted before they are rounded to ``dtype``, which ``out`` has if given."""
        chosen = self.rows[rows]
        first = int(chosen[0]) if len(chosen) else 0
        run = torch.arange(first, first + len(chosen), device=self.device)
        block = self.source[first : first + len(chosen)] if chosen.equal(run) else self.source[chosen]  # a view is free
        wide = torch.promote_types(torch.promote_types(block.dtype, torch.float32), dtype)
        held = torch.empty(block.shape, dtype=dtype, device=self.device) if out is None else out
        return torch.sub(block, self.centre.to(wide), out=held)

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Row ranges and their centred float64 vectors, one block at a time."""
        for rows in row_blocks(len(self), self.dimension, VECTOR_ENTRIES):
            yield rows, self.vectors(rows)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """The points at ``rows`` (indices into this set, any order)."""
        kept = np.sort(rows)
        index = torch.from_numpy(kept).to(self.device)
        return replace(self, rows=self.rows[index], units=unit_codes(self.units[kept]), norms=self.norms[index],
                       shift=self.shift[index])  # fmt: skip


def centred_points(
    name: str, features: Features, units: ArrayLike | None = None, centre: Tensor | NDArray[np.float64] | None = None
) -> Points:
    """Points from ``[n, d]`` features and ``[n]`` names of units (None: each row is its own unit).

    ``centre`` ``[d]`` must be the same for all sets that are compared (None: the origin).
    """
    values = checked_tensor(name, features)
    n, d = values.shape
    codes = np.arange(n) if units is None else unit_codes(units)
    if len(codes) != n:
        raise UserError(f"'{name}' has {n} rows of features and {len(codes)} patients")
    given = torch.zeros(d) if centre is None else torch.as_tensor(centre)
    if len(given) != d:
        raise UserError(f"features of '{name}' have {d} columns, expected {len(given)}")
    # Rounded to single precision, so that it is one and the same point whatever precision a block is read in.
    middle = given.to(values.device, torch.float32).double()
    order = np.argsort(codes, kind="stable")
    empty = torch.zeros(n, dtype=torch.float64, device=values.device)
    points = Points(name, values, torch.from_numpy(order).to(values.device), codes[order], middle, empty,
                    empty.clone(), float(middle @ middle))  # fmt: skip
    for rows, block in points.blocks():
        torch.linalg.vecdot(block, block, out=points.norms[rows])
        torch.mv(block, middle, out=points.shift[rows])
    return points


def exact_squares(x: Points, i: Tensor, y: Points, j: Tensor) -> Tensor:
    """``[e]`` float64 squared distances of the pairs (``x[i]``, ``y[j]``), by subtraction; exactly 0 for equal rows."""
    found = torch.empty(len(i), dtype=torch.float64, device=x.device)
    for part in row_blocks(len(i), x.dimension, VECTOR_ENTRIES):
        gap = x.source[x.rows[i[part]]].double().sub_(y.source[y.rows[j[part]]])  # no centre: it cancels
        found[part] = torch.linalg.vecdot(gap, gap)
    return found
