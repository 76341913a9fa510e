"""CMMD (Jayasumana et al. 2024): 1000 times the squared MMD of unit directions under a Gaussian kernel of width 10.

k(x, y) = exp(-|x-y|²/(2·10²)) on L2-normalised features; the biased estimate, whose means include the diagonal:
mean k(x, x') + mean k(y, y') - 2 mean k(x, y). It is called CMMD on CLIP ViT-L/14-336 embeddings only, and MMD
elsewhere. The diagonal adds about (1/n + 1/m)·1000·(1 - mean k), so a value belongs to its counts.

Standard error: the Hoeffding projection summed within patients, as for KID.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from synthassay.metrics.inputs import checked_rows, directions
from synthassay.metrics.intervals import CONFIDENCE, Interval, influence_variance
from synthassay.metrics.kid import KernelDistance, cross_sums, within_sums
from synthassay.metrics.points import Features, centred_points, mean_of
from synthassay.metrics.tiles import Tile
from synthassay.team import ALONE, Team

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


def _less_one(tile: Tile) -> Tensor:
    """k(x, y) - 1 of unit rows. The constant 1 cancels in the distance; without it the sums lose no digits."""
    return tile.squares().div_(-2.0 * SIGMA * SIGMA).expm1_()


def cmmd(
    real: Features, synthetic: Features, *, real_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None, team: Team = ALONE,
) -> Cmmd:  # fmt: skip
    """CMMD of ``[n, d]`` and ``[m, d]`` floating point features; not negative.

    ``real_units``, ``synthetic_units``: patients of the rows (None: each row its own). An error for a row of zeros.
    """
    of_real = directions(checked_rows("real", real, real_units))
    of_synthetic = directions(checked_rows("synthetic", synthetic, synthetic_units, like=of_real))
    centre = mean_of("real", of_real.values)
    y, x = (centred_points(side.name, side.values, side.units, centre) for side in (of_real, of_synthetic))
    cross = cross_sums(x, y, team, _less_one)
    value, variance = -2 * float(cross.rows.sum()) / (len(x) * len(y)), 0.0
    for side, other, across in ((x, y, cross.rows), (y, x, cross.columns)):
        sums = within_sums(side, team, _less_one)  # of the diagonal, k - 1 is 0
        own, across = (sums.between + sums.inside) / len(side), across / len(other)
        gap = own - across  # summed over the images of each unit
        value += float(own.sum()) / len(side)
        influence = 2 * (gap - sums.sizes * gap.sum() / len(side)) / len(side)
        variance += influence_variance(influence, np.arange(len(influence)))
    units = min(x.n_units, y.n_units)
    return Cmmd(max(0.0, SCALE * value), SCALE * math.sqrt(variance) if units > 1 else None, units)
