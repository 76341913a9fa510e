"""Which points lie in which balls, counted over the whole sets and over every half-sample at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from synthassay.metrics.points import row_blocks
from synthassay.metrics.team import Team

ENTRIES = 1 << 22  # pairs times half-samples that are looked at together


@dataclass(frozen=True, slots=True)
class Balls:
    """Balls around the rows of one set. ``radius``: ``[n]`` squared, float64, in the whole set; ``radii``: ``[n, R]``
    squared, in each half-sample, -1 where that leaves the row out; ``reach``: ``[n]`` the largest of a row's."""

    radius: Tensor
    radii: Tensor
    reach: Tensor


class BallCounts:
    """Counts of (point, ball) with the point inside.

    By point, ``points`` ``[n_points, 1 + R]``: the balls that it lies in; by ball, ``balls`` ``[n_balls, 1 + R]``: the
    points that it holds. Column 0 is for the whole sets, the others for half-samples of both.
    """

    def __init__(self, balls: Balls, kept: Tensor) -> None:
        self._balls, self._kept = balls, kept
        width = 1 + balls.radii.shape[1]
        self.points = torch.zeros((len(kept), width), dtype=torch.int32, device=kept.device)
        self.balls = torch.zeros((len(balls.radius), width), dtype=torch.int32, device=kept.device)

    def add(self, point: Tensor, ball: Tensor, squares: Tensor) -> None:
        """Count pairs, ``[e]`` each; ``squares`` are their squared distances."""
        whole = squares < self._balls.radius[ball]
        self.points[:, 0] += torch.bincount(point[whole], minlength=len(self.points))
        self.balls[:, 0] += torch.bincount(ball[whole], minlength=len(self.balls))
        if self.points.shape[1] == 1:
            return
        for part in row_blocks(len(point), self.points.shape[1], ENTRIES):
            inside = squares[part, None].to(self._balls.radii.dtype) < self._balls.radii[ball[part]]
            inside &= self._kept[point[part]]
            found = inside.int()
            self.points[:, 1:].index_add_(0, point[part], found)
            self.balls[:, 1:].index_add_(0, ball[part], found)

    def joined(self, team: Team) -> None:
        """Add the counts of the rest of the team."""
        self.points, self.balls = team.add(self.points), team.add(self.balls)
