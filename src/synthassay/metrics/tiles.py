"""Inner products of two sets, one tile at a time, each visited once.

A set is paired with itself over half of the tiles: what is off the diagonal serves its rows and its columns. Memory is
that of one tile and of two blocks of vectors, whatever the number of images.

Small problems are computed in double precision, large ones in single. What is decided by comparing distances is decided
again by subtraction in double wherever rounding could matter (:func:`rounding_bound`), so that the counts over whole
sets are exact; those over half-samples, of which only the spread is used, are to rounding.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from synthassay.metrics.points import Points, row_blocks
from synthassay.precision import exact_float32
from synthassay.team import ALONE, Team

DOUBLE_UP_TO = 1 << 36  # n·m·d up to which everything is computed in double: a second or two on one core
CPU_BYTES = 48 << 20  # for one tile and its blocks; larger tiles leave the cache and are no faster
CUDA_SHARE = 0.25  # of the device's free memory
MAX_SIDE = {"cpu": 768, "cuda": 16384}
LARGEST_BASE = 1e9  # of the polynomial kernel in single precision: sums of its cubes stay under 1e38
TILE_COPIES = 5  # products, squares, kernel, and what is made of them in passing


class Workspace:
    """Memory that tile after tile is written to: fresh pages would cost more than the arithmetic on them."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._held: dict[tuple[str, torch.dtype], Tensor] = {}

    def table(self, name: str, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        """``[rows, columns]``, not initialised, the same memory for the same ``name``."""
        held = self._held.get((name, dtype))
        if held is None or len(held) < rows * columns:
            held = self._held[name, dtype] = torch.empty(rows * columns, dtype=dtype, device=self._device)
        return held[: rows * columns].view(rows, columns)


@dataclass(slots=True)
class Tile:
    """``products``: ``[b, c]`` inner products of the centred rows ``x[rows]`` and ``y[columns]``.

    They, :meth:`squares` and :meth:`kernel` are overwritten by those of the next tile.
    """

    x: Points
    y: Points
    rows: slice
    columns: slice
    products: Tensor
    symmetric: bool  # x and y are one set, and this tile also stands for its mirror image
    workspace: Workspace

    @property
    def diagonal(self) -> bool:
        """Whether the tile pairs a block of rows with itself."""
        return self.x is self.y and self.rows == self.columns

    def squares(self) -> Tensor:
        """``[b, c]`` squared distances, not negative; to :func:`rounding_bound`."""
        dtype = self.products.dtype
        norms_x, norms_y = self.x.norms[self.rows].to(dtype), self.y.norms[self.columns].to(dtype)
        found = self.workspace.table("squares", len(norms_x), len(norms_y), dtype)
        torch.add(norms_x[:, None], norms_y[None, :], out=found)
        return found.sub_(self.products, alpha=2).clamp_(min=0.0)

    def kernel(self) -> Tensor:
        """``[b, c]`` values of (x·y/d + 1)³ on the uncentred vectors."""
        d, dtype = self.x.dimension, self.products.dtype
        of_x = self.x.shift[self.rows] / d
        of_y = (self.y.shift[self.columns] + self.y.pivot) / d + 1.0
        length = math.sqrt(float(self.x.norms[self.rows].max() * self.y.norms[self.columns].max()))
        if length / d + float(of_x.abs().max() + of_y.abs().max()) > LARGEST_BASE:
            dtype = torch.float64  # cubes of single precision would overflow
        base = self.workspace.table("kernel", len(of_x), len(of_y), dtype)
        torch.add(of_x.to(dtype)[:, None], of_y.to(dtype)[None, :], out=base)
        return base.add_(self.products, alpha=1 / d).pow_(3)

    def same_unit(self) -> Tensor | None:
        """``[b, c]`` pairs of one unit inside one set; None where the tile holds none."""
        rows, columns = self.x.units[self.rows], self.y.units[self.columns]
        if self.x is not self.y or rows[-1] < columns[0] or columns[-1] < rows[0]:
            return None
        a, b = (torch.from_numpy(part).to(self.products.device) for part in (rows, columns))
        return a[:, None] == b[None, :]


def tile_dtype(x: Points, y: Points) -> torch.dtype:
    """Double for small problems, single for large ones."""
    return torch.float64 if len(x) * len(y) * x.dimension <= DOUBLE_UP_TO else torch.float32


def rounding_bound(dimension: int, dtype: torch.dtype) -> float:
    """Error of a squared distance of a tile, relative to the sum of both squared norms.

    Rounding of vectors and norms costs a few eps whatever d; that of d products and sums grows as the square root of
    d, since its signs are random. More than twice what was ever seen (``tests/metrics/test_tiles.py``).
    """
    return torch.finfo(dtype).eps * (8 + math.sqrt(dimension) / 4)


def tile_side(dimension: int, dtype: torch.dtype, device: torch.device) -> int:
    """Rows of a block, from the memory that one tile may take."""
    limit = MAX_SIDE["cpu"]
    space: float = CPU_BYTES
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        space, limit = CUDA_SHARE * (torch.cuda.mem_get_info(device)[0] + unused), MAX_SIDE["cuda"]
    space /= dtype.itemsize
    # TILE_COPIES·s² + 2·d·s = space
    side = (math.sqrt(dimension**2 + TILE_COPIES * space) - dimension) / TILE_COPIES
    return max(64, min(limit, int(side) // 64 * 64))


def tiles(
    x: Points, y: Points | None = None, *, team: Team = ALONE, dtype: torch.dtype | None = None
) -> Iterator[Tile]:
    """The tiles of ``x`` against ``y``, or of ``x`` with itself (None), that fall to this process.

    Each is for use before the next is asked for: they share their memory.
    """
    other = x if y is None else y
    precision = dtype or tile_dtype(x, other)
    side = team.least(tile_side(x.dimension, precision, x.device))  # one grid for all, whatever memory each has
    number, space = 0, Workspace(x.device)
    for rows in row_blocks(len(x), 1, side):
        block = None
        for columns in row_blocks(len(other), 1, side):
            if y is None and columns.start < rows.start:
                continue
            if team.owns(number):
                if block is None:
                    block = _read(x, rows, space, "rows", precision)
                alone = y is None and rows == columns
                across = block if alone else _read(other, columns, space, "columns", precision)
                products = space.table("products", len(block), len(across), precision)
                multiply(block, across, products)
                yield Tile(x, other, rows, columns, products, y is None and not alone, space)
            number += 1


def multiply(block: Tensor, across: Tensor, products: Tensor) -> None:
    """``products`` ``[b, c]`` of the rows of ``block`` ``[b, d]`` and ``across`` ``[c, d]``, in full precision.

    On a CPU by NumPy's BLAS, which on AMD's takes a tenth less time than PyTorch's; by as many threads as PyTorch's.
    """
    if block.device.type != "cpu":
        with exact_float32(block.device.type):
            torch.mm(block, across.T, out=products)
        return
    with _blas().limit(limits=torch.get_num_threads(), user_api="blas"):
        np.matmul(block.numpy(), across.numpy().T, out=products.numpy())


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # it looks through all loaded libraries, once


def _read(points: Points, rows: slice, space: Workspace, name: str, dtype: torch.dtype) -> Tensor:
    held = space.table(name, rows.stop - rows.start, points.dimension, dtype)
    return points.vectors(rows, dtype, out=held)
