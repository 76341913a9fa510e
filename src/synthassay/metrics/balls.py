"""Which points lie in which balls, counted over the whole sets and over every half-sample at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from synthassay.metrics.points import row_blocks
from synthassay.team import Team

MANY = 0.04  # of the pairs of a tile: from here on products are cheaper than a list
ENTRIES = 1 << 20  # pairs times half-samples that are looked at together: they stay in the cache


@dataclass(frozen=True, slots=True)
class Balls:
    """Balls around the rows of one set. ``radius``: ``[n]`` squared, float64, in the whole set; ``radii``: ``[n, R]``
    squared, in each half-sample, -1 where that leaves the row out; ``reach``: ``[n]`` the largest of a row's."""

    radius: Tensor
    radii: Tensor
    reach: Tensor


class BallCounts:
    """Counts of (point, ball) with the point inside, in the whole sets and in half-samples of both.

    ``kept``: ``[n_points, R]``, who is in each half-sample. By point, the balls that it lies in; by ball, the points
    that it holds.
    """

    def __init__(self, balls: Balls, kept: Tensor) -> None:
        self._balls, self._kept = balls, kept.float()
        kept_radii = torch.where(balls.radii >= 0, balls.radii, torch.inf)
        least = kept_radii.amin(dim=1) if balls.radii.shape[1] else balls.radii.new_full((len(balls.radius),), -1.0)
        self._core = torch.where(torch.isfinite(least), least, -1.0)  # squared, inside every half-sample's ball
        device = kept.device
        self._whole = [torch.zeros(n, dtype=torch.int64, device=device) for n in (len(kept), len(balls.radius))]
        # Sums of ones below 2^24 are exact in single precision, and floats are added several times faster.
        self._halves = [torch.zeros((len(side), kept.shape[1]), device=device) for side in (kept, balls.radius)]

    def add_core(self, points: slice, balls: slice, squares: Tensor) -> bool:
        """Count, in the half-samples, the pairs of a ``[points, balls]`` tile that no half-sample could part.

        They lie in the ball's smallest radius, so who is kept decides alone: two products instead of a list of pairs.
        Returns False, having done nothing, where the tile has few of them.
        """
        if not self._kept.shape[1]:
            return False
        inside = squares < self._core[balls][None, :]
        if int(inside.sum()) < MANY * inside.numel():
            return False
        mask, of_points = inside.float(), self._kept[points]
        of_balls = (self._balls.radii[balls] >= 0).float()
        self._halves[0][points] += (mask @ of_balls).mul_(of_points)
        self._halves[1][balls] += (mask.T @ of_points).mul_(of_balls)
        return True

    def add(self, point: Tensor, ball: Tensor, squares: Tensor, rounded: Tensor, core_done: bool) -> None:
        """Count pairs, ``[e]`` each; ``squares`` are their squared distances, ``rounded`` as they stand in the tile.

        ``core_done``: whether :meth:`add_core` has counted its part of them.
        """
        whole = squares < self._balls.radius[ball]
        for counts, index in zip(self._whole, (point, ball), strict=True):
            counts += torch.bincount(index[whole], minlength=len(counts))
        width = self._kept.shape[1]
        if not width:
            return
        near = squares < self._balls.reach[ball]
        if core_done:
            near &= rounded >= self._core[ball]
        point, ball, limit = point[near], ball[near], rounded[near].to(self._balls.radii.dtype)
        of_points, of_balls = self._halves
        for part in row_blocks(len(point), width, ENTRIES):
            inside = self._balls.radii.index_select(0, ball[part]).gt_(limit[part, None]).float()
            inside.mul_(self._kept.index_select(0, point[part]))
            of_points.index_add_(0, point[part], inside)
            of_balls.index_add_(0, ball[part], inside)

    @property
    def by_point(self) -> Tensor:
        """``[n_points, 1 + R]`` float64; column 0 is for the whole sets."""
        return torch.cat([self._whole[0][:, None].double(), self._halves[0].double()], dim=1)

    @property
    def by_ball(self) -> Tensor:
        """``[n_balls, 1 + R]`` float64; column 0 is for the whole sets."""
        return torch.cat([self._whole[1][:, None].double(), self._halves[1].double()], dim=1)

    def joined(self, team: Team) -> None:
        """Add the counts of the rest of the team."""
        for parts in (self._whole, self._halves):
            for part in parts:
                team.add(part)
