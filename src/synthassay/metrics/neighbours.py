"""One visit of every tile: neighbourhoods inside a set, pairs between two sets, and the kernel sums of KID.

:func:`describe` looks at a set alone, :func:`compare` at a synthetic set against a real one; what precision, recall,
density, coverage, authenticity and KID need follows from the two without touching the features again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthassay.errors import UserError
from synthassay.metrics.balls import BallCounts, Balls
from synthassay.metrics.frechet import Moments
from synthassay.metrics.halfsampling import FIRST_DEPTH, listed_radii, replicate_radii
from synthassay.metrics.kid import CrossAccumulator, CrossSums, WithinAccumulator, WithinSums
from synthassay.metrics.nearest import NearestAccumulator, NearestLists, exact_kth, places
from synthassay.metrics.points import Points, exact_squares, row_blocks
from synthassay.metrics.tiles import Tile, rounding_bound, tile_dtype, tiles
from synthassay.team import ALONE, Team

Variant = Literal["patient-aware", "classic"]
VARIANTS: tuple[Variant, ...] = ("patient-aware", "classic")
LIST_ENTRIES = 1 << 22  # of all lists of neighbours of a set together, beyond the depth that every row needs
TIE = 1e-11  # relative; squared distances this close are equal but for rounding, so neither is strictly smaller
STRIP_ENTRIES = 1 << 22  # of a tile whose close pairs are listed together


@dataclass(frozen=True, slots=True)
class Convention:
    """What a neighbourhood is: the ball to the ``k``-th neighbour, without its edge if ``strict``."""

    k: int
    strict: bool = True

    @property
    def text(self) -> str:
        """For an identity."""
        return f"k={self.k}, {'strict <' if self.strict else '<='}"

    def limit(self, radii: Tensor) -> Tensor:
        """What a squared distance must be smaller than to lie inside a ball of squared radius ``radii``."""
        return radii * (1 - TIE) if self.strict else torch.nextafter(radii * (1 + TIE), radii.new_tensor(torch.inf))


@dataclass(frozen=True)
class Neighbourhoods:
    """Neighbours inside one set, ``points``, under one variant's rule of who may be one."""

    points: Points
    lists: NearestLists

    @cached_property
    def nearest(self) -> Tensor:
        """``[n]`` squared distances to the nearest."""
        return exact_kth(self.points, self.points, self.lists, 1)[0]


class SetDescription:
    """A set, its half-samples ``kept`` (``[n, 1 + R]``, column 0 all True), its neighbourhoods and its kernel sums.

    ``covariance``: ``[d, d]`` where it is known already.
    """

    def __init__(
        self, points: Points, kept: NDArray[np.bool_], hoods: Mapping[Variant, Neighbourhoods], kernel: WithinSums,
        team: Team = ALONE, covariance: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.points, self.hoods, self.kernel = points, hoods, kernel
        self._team, self._covariance = team, covariance
        self.kept = torch.from_numpy(kept).to(points.device)
        self._balls: dict[tuple[int, Convention], Balls] = {}

    @cached_property
    def moments(self) -> Moments:
        """For the Fréchet distance."""
        return Moments(self.points, self._team, self._covariance)

    def balls(self, variant: Variant, convention: Convention) -> Balls:
        """The balls of every row. Where some half-sample leaves a row with fewer than k neighbours, only those of the
        whole set: there can be no interval then."""
        hood = self.hoods[variant]
        key = (id(hood), convention)
        if key not in self._balls:
            self._balls[key] = self._made(hood, variant, convention)
        return self._balls[key]

    def _made(self, hood: Neighbourhoods, variant: Variant, convention: Convention) -> Balls:
        radius = exact_kth(self.points, self.points, hood.lists, convention.k)[0]
        halves = self.kept[:, 1:]
        radii = listed_radii(hood.lists.squares, hood.lists.columns, halves, convention.k)
        short = ((radii == torch.inf) & halves).any(dim=1) & torch.isfinite(hood.lists.squares[:, -1])
        if short.any():  # their list ends too early for some half-sample
            self._look_further(short.nonzero()[:, 0], radii, variant, convention.k)
        if not torch.isfinite(radii[halves]).all():
            radii = radii[:, :0]
        radius, radii = convention.limit(radius), convention.limit(radii)
        radii = torch.where(self.kept[:, 1 : 1 + radii.shape[1]], radii, -1.0)
        reach = torch.maximum(radius, radii.amax(dim=1).double()) if radii.shape[1] else radius
        return Balls(radius, radii, reach)

    def _look_further(self, rows: Tensor, radii: Tensor, variant: Variant, k: int) -> None:
        """Fill the ``radii`` of ``rows`` from their distances to the whole set."""
        points, units = self.points, torch.from_numpy(self.points.units).to(self.points.device)
        for part in row_blocks(len(rows), len(points)):
            chosen = rows[part]
            squares = _whole_rows(points, chosen)
            if variant == "patient-aware":
                squares[units[chosen, None] == units[None, :]] = torch.inf
            squares[torch.arange(len(chosen)), chosen] = torch.inf
            radii[chosen] = replicate_radii(squares, self.kept[:, 1:], k).to(radii.dtype)


def _whole_rows(points: Points, rows: Tensor) -> Tensor:
    """``[b, n]`` squared distances of some rows to all."""
    vectors = points.vectors(rows)
    parts = []
    for columns, block in points.blocks():
        parts.append((points.norms[rows, None] + points.norms[None, columns]).sub_(vectors @ block.T, alpha=2))
    return torch.cat(parts, dim=1).clamp_(min=0.0)


def enough_neighbours(points: Points, k: int) -> bool:
    """Whether every row has k others of other units, so that both variants are defined."""
    return len(points) > 0 and len(points) - int(points.sizes.max()) >= k


def describe(points: Points, kept: NDArray[np.bool_], k: int, team: Team = ALONE) -> SetDescription:
    """Neighbourhoods and kernel sums of one set; an error if some row has fewer than k possible neighbours.

    ``kept``: ``[n, 1 + R]`` half-samples from :func:`synthassay.metrics.halfsampling.half_samples`; ``k``: the largest
    that will be asked for.
    """
    if not enough_neighbours(points, k):
        raise UserError(f"'{points.name}' has {len(points)} rows of {points.n_units} patients: too few for the "
                        f"{k}-th neighbour among other patients (k must be smaller)")  # fmt: skip
    kernel, dtype = WithinAccumulator(points), tile_dtype(points, points)
    depth = _list_depth(points, k, halves=kept.shape[1] > 1)
    aware = NearestLists(len(points), depth, dtype, points.device)
    own = NearestLists(len(points), min(depth, int(points.sizes.max())), dtype, points.device)  # of one's own unit
    for tile in tiles(points, team=team):
        same = tile.same_unit()
        kernel.add(tile, tile.kernel(), same)
        squares = tile.squares()
        if tile.diagonal:
            squares.fill_diagonal_(torch.inf)
        if same is not None and points.clustered:
            _feed(own, tile, squares.masked_fill(~same, torch.inf))
            squares.masked_fill_(same, torch.inf)
        _feed(aware, tile, squares)
    aware.joined(team)
    classic = aware
    if points.clustered:
        own.joined(team)
        classic = aware.copy()
        classic.take_in(own)
    hoods: dict[Variant, Neighbourhoods] = dict.fromkeys(VARIANTS, Neighbourhoods(points, aware))
    if classic is not aware:
        hoods["classic"] = Neighbourhoods(points, classic)
    return SetDescription(points, kept, hoods, kernel.result(team), team)


def _feed(lists: NearestLists, tile: Tile, squares: Tensor) -> None:
    lists.feed(tile.rows, tile.columns.start, squares)
    if tile.symmetric:
        lists.feed(tile.columns, tile.rows.start, squares.T)


def _list_depth(points: Points, k: int, *, halves: bool) -> int:
    """Neighbours to keep: a few more than k, and where half-samples follow, enough that few rows run short in any.

    The images of a patient stay or go together, so that patients with many images need longer lists.
    """
    others = len(points) - 1
    if not halves:
        return min(others, k + 3)
    needed = FIRST_DEPTH * k + 2
    wanted = needed * -(-len(points) // points.n_units)
    return min(others, max(needed, min(wanted, LIST_ENTRIES // len(points))))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A synthetic set seen from a real one.

    ``in_real[variant, convention]``: synthetic points in real balls; ``in_synthetic``: real points in synthetic balls;
    ``nearest``: ``[m]`` real row nearest to each synthetic one, at the squared ``distances``.
    """

    in_real: Mapping[tuple[Variant, Convention], BallCounts]
    in_synthetic: Mapping[tuple[Variant, Convention], BallCounts]
    nearest: Tensor
    distances: Tensor
    kernel: CrossSums


def compare(
    synthetic: SetDescription, real: SetDescription, conventions: tuple[Convention, ...], team: Team = ALONE
) -> Comparison:
    """Who lies in whose balls, nearest real rows and kernel sums of a synthetic set against a real one."""
    x, y = synthetic.points, real.points
    kernel, pairs = CrossAccumulator(x, y), _PairCounter(synthetic, real, conventions)
    closest = NearestAccumulator(x, y)
    for tile in tiles(x, y, team=team):
        kernel.add(tile, tile.kernel())
        squares = tile.squares()
        closest.add(tile, squares)
        pairs.add(tile, squares)
    for counts in pairs.every:
        counts.joined(team)
    nearest, distances = closest.result(team)
    return Comparison(pairs.in_real, pairs.in_synthetic, nearest, distances, kernel.result(team))


_Table = dict[tuple[int, int], tuple[Balls, BallCounts]]


class _PairCounter:
    """Finds the pairs of a tile that lie in any ball of either side, and counts them."""

    def __init__(
        self, synthetic: SetDescription, real: SetDescription, conventions: tuple[Convention, ...]
    ) -> None:  # fmt: skip
        self.x, self.y = synthetic.points, real.points
        self.in_real, self.in_synthetic = {}, {}
        self.balls_x: _Table = {}
        self.balls_y: _Table = {}
        for variant in VARIANTS:
            for convention in conventions:
                ours, theirs = synthetic.balls(variant, convention), real.balls(variant, convention)
                width = min(ours.radii.shape[1], theirs.radii.shape[1])
                key = (variant, convention)
                self.in_real[key] = _counts(self.balls_y, theirs, synthetic.kept, width)
                self.in_synthetic[key] = _counts(self.balls_x, ours, real.kept, width)
        self.reach_x = torch.stack([balls.reach for balls, _ in self.balls_x.values()]).amax(dim=0)
        self.reach_y = torch.stack([balls.reach for balls, _ in self.balls_y.values()]).amax(dim=0)
        self.bound = rounding_bound(self.x.dimension, tile_dtype(self.x, self.y))

    @property
    def every(self) -> list[BallCounts]:
        """All that is counted, each once."""
        return [counts for table in (self.balls_x, self.balls_y) for _, counts in table.values()]

    def add(self, tile: Tile, squares: Tensor) -> None:
        """Count the pairs of a tile, strip by strip, since all of them may be close."""
        for strip in row_blocks(len(squares), squares.shape[1], STRIP_ENTRIES):
            rows = slice(tile.rows.start + strip.start, tile.rows.start + strip.stop)
            self._add(rows, tile.columns, squares[strip])

    def _add(self, rows: slice, columns: slice, squares: Tensor) -> None:
        slack = self.bound * (self.x.norms[rows].max() + self.y.norms[columns].max())
        close = squares < (self.reach_x[rows] + slack).to(squares.dtype)[:, None]
        close |= squares < (self.reach_y[columns] + slack).to(squares.dtype)[None, :]
        row, column = places(close)
        i, j, found = row + rows.start, column + columns.start, squares[row, column]
        exact = found.double()
        self._decide_again(i, j, exact)
        for _, counts in self.balls_y.values():
            counts.add(i, j, exact, found, counts.add_core(rows, columns, squares))
        for _, counts in self.balls_x.values():
            counts.add(j, i, exact, found, counts.add_core(columns, rows, squares.T))

    def _decide_again(self, i: Tensor, j: Tensor, squares: Tensor) -> None:
        """Put exact distances where rounding leaves open whether a pair lies in a ball of the whole sets."""
        slack = self.bound * (self.x.norms[i] + self.y.norms[j])
        open_ = torch.zeros(len(i), dtype=torch.bool, device=squares.device)
        for table, ball in ((self.balls_x, i), (self.balls_y, j)):
            for balls, _ in table.values():
                open_ |= (squares - balls.radius[ball]).abs() <= slack
        chosen = open_.nonzero()[:, 0]
        squares[chosen] = exact_squares(self.x, i[chosen], self.y, j[chosen])


def _counts(table: _Table, balls: Balls, kept: Tensor, width: int) -> BallCounts:
    """The counts of ``balls`` over ``width`` half-samples, made when first asked for.

    Variants share balls where no unit has two images, and counts too where the other side has as many half-samples.
    """
    key = (id(balls), width)
    if key not in table:
        cut = Balls(balls.radius, balls.radii[:, :width], balls.reach)
        table[key] = (cut, BallCounts(cut, kept[:, 1 : 1 + width]))
    return table[key][1]
