"""CMMD (Jayasumana et al. 2024): 1000 times the squared MMD of unit directions under a Gaussian kernel of width 10.

k(x, y) = exp(-|x-y|²/(2·10²)) on L2-normalised features; the biased estimate, whose means include the diagonal:
mean k(x, x') + mean k(y, y') - 2 mean k(x, y). It is called CMMD on CLIP ViT-L/14-336 embeddings only, and MMD
elsewhere. The diagonal adds about (1/n + 1/m)·1000·(1 - mean k), so a value belongs to its counts.

Standard error: the Hoeffding projection summed within patients, as for KID.
"""

import math

from numpy.typing import ArrayLike
from torch import Tensor

from synthassay.metrics.inputs import checked_rows, directions
from synthassay.metrics.intervals import CONFIDENCE, Interval, influence_variance
from synthassay.metrics.kid import KernelDistance
from synthassay.metrics.points import Features, row_blocks

CMMD_ENCODER = "clip-vitl14-336"  # the encoder's name
DEFINITION = "L2-normalised, RBF sigma=10, biased, x1000"
HIGHER_IS_BETTER: bool | None = False
SIGMA = 10.0
SCALE = 1000.0


class Cmmd(KernelDistance):
    """The distance with its standard error (None with one unit on a side) and the units of the smaller side."""

    __slots__ = ()

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """t interval with units-1 degrees of freedom, not below 0."""
        return super().interval(confidence).clipped(0.0, math.inf)


def cmmd_name(encoder: str) -> str:
    """What the value is called on features of ``encoder``: ``"cmmd"`` on CLIP ViT-L/14-336, else ``"mmd_rbf"``."""
    return "cmmd" if encoder == CMMD_ENCODER else "mmd_rbf"


def _less_one(x: Tensor, y: Tensor) -> Tensor:
    """k(x, y) - 1 of unit rows. The constant 1 cancels in the distance; without it the sums lose no digits."""
    tile = x @ y.T
    tile -= 1.0  # -|x-y|²/2
    tile /= SIGMA * SIGMA
    return tile.expm1_()


def _own_means(x: Tensor) -> Tensor:
    """Mean of k - 1 from each row to all rows of its set, itself included; every pair is visited once."""
    sums = x.new_zeros(len(x))
    for rows in row_blocks(len(x), len(x)):
        tile = _less_one(x[rows], x[rows.start :])
        sums[rows] += tile.sum(dim=1)
        sums[rows.stop :] += tile[:, len(tile) :].sum(dim=0)
    return sums / len(x)


def _cross_means(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Means of k - 1 from each row of ``x`` to all of ``y``, and from each row of ``y`` to all of ``x``."""
    of_x, of_y = x.new_zeros(len(x)), x.new_zeros(len(y))
    for rows in row_blocks(len(x), len(y)):
        tile = _less_one(x[rows], y)
        of_x[rows] = tile.mean(dim=1)
        of_y += tile.sum(dim=0)
    return of_x, of_y / len(x)


def cmmd(
    real: Features, synthetic: Features, *, real_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None,
) -> Cmmd:  # fmt: skip
    """CMMD of ``[n, d]`` and ``[m, d]`` floating point features; not negative.

    ``real_units``, ``synthetic_units``: patients of the rows (None: each row its own). An error for a row of zeros.
    """
    y = directions(checked_rows("real", real, real_units))
    x = directions(checked_rows("synthetic", synthetic, synthetic_units, like=y))
    own_x, own_y, (cross_x, cross_y) = _own_means(x.values), _own_means(y.values), _cross_means(x.values, y.values)
    value = max(0.0, SCALE * float(own_x.mean() + own_y.mean() - 2 * cross_x.mean()))
    units = min(x.n_units, y.n_units)
    if units < 2:
        return Cmmd(value, None, units)
    variance = 0.0
    for own, cross, side in ((own_x, cross_x, x), (own_y, cross_y, y)):
        influence = 2 * (own - own.mean() - (cross - cross.mean())) / len(side)
        variance += influence_variance(influence.cpu().numpy(), side.units)
    return Cmmd(value, SCALE * math.sqrt(variance), units)
