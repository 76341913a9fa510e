"""The nearest few columns of every row, kept while tiles pass, and their exact order in double precision."""

import numpy as np
import torch
from torch import Tensor

from synthassay.metrics.points import VECTOR_ENTRIES, Points, exact_squares, row_blocks
from synthassay.metrics.tiles import Tile, rounding_bound, tile_dtype, tiles
from synthassay.team import ALONE, Team

NEAREST_DEPTH = 16  # columns kept for each row where the nearest is wanted, so that rounding cannot hide which it is


class NearestLists:
    """``squares`` ``[n, depth]``: squared distances to the nearest columns, nearest first, inf where there are fewer;
    ``columns`` ``[n, depth]`` int32: which these are, -1 where there are fewer."""

    def __init__(self, n: int, depth: int, dtype: torch.dtype, device: torch.device) -> None:
        self.squares = torch.full((n, depth), torch.inf, dtype=dtype, device=device)
        self.columns = torch.full((n, depth), -1, dtype=torch.int32, device=device)

    @property
    def depth(self) -> int:
        """Columns that are kept for each row."""
        return int(self.squares.shape[1])

    def feed(self, rows: slice, first: int, squares: Tensor) -> None:
        """Take in a tile ``[b, c]`` of squared distances, inf where a column must not count; its columns begin at
        ``first``. The tile may be the transpose of one that lies row by row in memory."""
        if squares.shape[1] <= 2 * self.depth:
            columns = torch.arange(first, first + squares.shape[1], dtype=torch.int32, device=squares.device)
            self._merge(rows, squares, columns.expand(len(squares), -1))
            return
        close = squares < self.squares[rows, -1:]
        found = int(close.count_nonzero())
        if found > len(squares) * self.depth:  # of the first tiles nearly everything is new
            values, place = squares.topk(self.depth, largest=False, sorted=False)
            self._merge(rows, values, (place + first).int())
        elif found:
            row, column = places(close)
            counts = torch.bincount(row, minlength=len(squares))
            values, columns = squares[row, column], (column + first).int()
            self._merge(rows, *_padded(row, values, columns, counts, int(counts.max())))

    def take_in(self, other: "NearestLists") -> None:
        """Take in the lists of other columns of the same rows."""
        self._merge(slice(0, len(self.squares)), other.squares, other.columns)

    def _merge(self, rows: slice, squares: Tensor, columns: Tensor) -> None:
        every = torch.cat([self.squares[rows], squares], dim=1)
        self.squares[rows], place = every.topk(self.depth, largest=False)
        chosen = torch.cat([self.columns[rows], columns], dim=1).gather(1, place)
        self.columns[rows] = chosen.masked_fill_(self.squares[rows] == torch.inf, -1)

    def joined(self, team: Team) -> None:
        """Take in the lists of the rest of the team."""
        parts = list(zip(team.gather(self.squares), team.gather(self.columns), strict=True))
        for number, (squares, columns) in enumerate(parts):
            if number != team.rank:
                self._merge(slice(0, len(self.squares)), squares, columns)

    def copy(self) -> "NearestLists":
        """Lists that can go on by themselves."""
        return NearestLists.of(self.squares.clone(), self.columns.clone())

    @classmethod
    def of(cls, squares: Tensor, columns: Tensor) -> "NearestLists":
        """Lists that were made before."""
        lists = cls(0, squares.shape[1], squares.dtype, squares.device)
        lists.squares, lists.columns = squares, columns
        return lists


def places(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of each True, by row; a transpose is read as it lies in memory, and put in order afterwards."""
    if not mask.is_contiguous():
        column, row = places(mask.T)
        order = row.argsort(stable=True)
        return row[order], column[order]
    if mask.device.type != "cpu":
        row, column = mask.nonzero(as_tuple=True)
        return row, column
    flat = torch.from_numpy(np.flatnonzero(mask.numpy()))  # where few are True, eight times faster than PyTorch's
    row = flat // mask.shape[1]
    return row, flat - row * mask.shape[1]


def _padded(row: Tensor, squares: Tensor, column: Tensor, counts: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """``[n, width]`` tables of the pairs of each row; inf and -1 where a row has fewer. ``row`` ascends."""
    start = counts.cumsum(0) - counts
    place = torch.arange(len(row), device=row.device) - start[row]
    values = squares.new_full((len(counts), width), torch.inf)
    columns = column.new_full((len(counts), width), -1)
    values[row, place], columns[row, place] = squares, column
    return values, columns


def exact_kth(x: Points, y: Points, lists: NearestLists, k: int) -> tuple[Tensor, Tensor]:
    """Squared distance ``[n]``, float64, of each row of ``x`` to its k-th nearest column, and which column it is.

    inf and -1 where a list has fewer than k. Columns whose order rounding may have changed are put in order by exact
    distances.
    """
    found = [_exact_kth(x, y, lists, k, rows) for rows in row_blocks(len(x), lists.depth, VECTOR_ENTRIES >> 3)]
    exact, nearest = (torch.cat(parts) for parts in zip(*found, strict=True))
    return exact, nearest


def _exact_kth(x: Points, y: Points, lists: NearestLists, k: int, rows: slice) -> tuple[Tensor, Tensor]:
    squares, columns = lists.squares[rows].double(), lists.columns[rows].long()
    middle = squares[:, k - 1 : k]
    reach = y.norms[columns.clamp(min=0)].amax(dim=1, keepdim=True) + x.norms[rows, None]
    slack = 2 * rounding_bound(x.dimension, lists.squares.dtype) * reach
    doubtful = (squares - middle).abs() <= slack  # inf - inf is NaN: never doubtful
    row, place = doubtful.nonzero(as_tuple=True)
    table = torch.full_like(squares, torch.inf)
    table[row, place] = exact_squares(x, row + rows.start, y, columns[row, place])
    by_column = columns.argsort(dim=1)  # of equal distances the lowest column comes first, whatever the tiles were
    order = by_column.gather(1, table.gather(1, by_column).argsort(dim=1, stable=True))
    below = (squares < middle - slack).sum(dim=1, keepdim=True)
    wanted = order.gather(1, (k - 1 - below).clamp(min=0))
    known = torch.isfinite(middle[:, 0])
    exact = torch.where(known, table.gather(1, wanted)[:, 0], torch.inf)
    return exact, torch.where(known, columns.gather(1, wanted)[:, 0], -1)


class NearestAccumulator:
    """Finds the row of ``y`` nearest to each row of ``x`` from their tiles."""

    def __init__(self, x: Points, y: Points) -> None:
        self.x, self.y = x, y
        self._lists = NearestLists(len(x), min(NEAREST_DEPTH, len(y)), tile_dtype(x, y), x.device)

    def add(self, tile: Tile, squares: Tensor) -> None:
        """``squares``: ``[b, c]`` of the tile."""
        self._lists.feed(tile.rows, tile.columns.start, squares)

    def result(self, team: Team = ALONE) -> tuple[Tensor, Tensor]:
        """Which row it is and its squared distance, ``[n]`` each, once every tile was added."""
        self._lists.joined(team)
        distances, nearest = exact_kth(self.x, self.y, self._lists, 1)
        return nearest, distances


def nearest_rows(x: Points, y: Points, team: Team = ALONE) -> tuple[Tensor, Tensor]:
    """For each row of ``x`` the nearest row of ``y`` and its squared distance."""
    closest = NearestAccumulator(x, y)
    for tile in tiles(x, y, team=team):
        closest.add(tile, tile.squares())
    return closest.result(team)
