"""MiFID (Bai et al. 2021): the Fréchet distance to the training images, divided by how near to them the set lies.

The memorisation distance s is the mean over synthetic images of min(1 - |cos|) to any training image. MiFID is the
Fréchet distance over s where s < 0.1, and the Fréchet distance itself elsewhere. It is the paper's direction: from
each synthetic image to its nearest training image. torchmetrics averages the other way round, over *training* images
to their nearest synthetic one, which a few copies among many training images hardly move.

A mean is blind to a few copies, and the threshold was set for FID-Inception features: with others s says more than
the value. Where the penalty is on, the standard error of FD/s is bounded by se(FD)/s + FD·se(s)/s², which holds
whatever the correlation of the two.
"""

import math
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from synthassay.metrics.frechet import FrechetDistance, frechet_distance
from synthassay.metrics.inputs import Rows, checked_rows, directions
from synthassay.metrics.intervals import CONFIDENCE, Interval, influence_variance, no_interval, t_interval
from synthassay.metrics.points import Features, row_blocks

DEFINITION = "FD over the mean of min(1-|cos|) from synthetic to train where it is under 0.1"
HIGHER_IS_BETTER: bool | None = False
THRESHOLD = 0.1
EPSILON = 1e-14  # the paper's ε, which keeps copies finite
SAME_LINE = 1e-12  # a distance under it is rounding
NO_DISTANCE = 1e-8  # a Fréchet distance under it is rounding: the value is then 0, as in torchmetrics


@dataclass(frozen=True, slots=True)
class MiFid:
    """MiFID, the Fréchet distance and the memorisation distance (with its standard error) that it is made of."""

    value: float
    frechet: FrechetDistance
    distance: float
    distance_error: float | None

    @property
    def penalised(self) -> bool:
        """Whether the set lies nearer to the training images than the threshold."""
        return self.distance < THRESHOLD

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """t interval, not below 0; none where the Fréchet distance has none, nor at the threshold."""
        error, units = self.frechet.standard_error, self.frechet.units
        if error is None or self.distance_error is None:
            return no_interval(self.frechet.note or "an interval needs 2 patients on each side")
        low, high = t_interval(self.distance, self.distance_error, units, confidence).ends()
        if low < THRESHOLD <= high or low <= 0.0:
            return no_interval(f"the memorisation distance lies in [{low:.3g}, {high:.3g}]: across the threshold "
                               f"{THRESHOLD} or down to 0, where the value jumps")  # fmt: skip
        if self.penalised:
            error = error / self.distance + self.frechet.value * self.distance_error / self.distance**2
        interval = t_interval(self.value, error, units, confidence, "influence functions by patient, bound")
        return interval.clipped(0.0, math.inf)


def memorisation_distances(train: Rows, synthetic: Rows) -> Tensor:
    """``[m]`` smallest 1 - |cos| of each synthetic row to a training row; 0 along the same line."""
    known, made = directions(train).values, directions(synthetic).values
    blocks = row_blocks(len(made), len(known))
    found = torch.cat([1.0 - (made[rows] @ known.T).abs_().amax(dim=1) for rows in blocks])
    return found.masked_fill(found < SAME_LINE, 0.0)


def mifid(
    train: Features, synthetic: Features, *, train_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None,
) -> MiFid:  # fmt: skip
    """MiFID of ``[m, d]`` synthetic features against the ``[n, d]`` features that were trained on.

    ``train_units``, ``synthetic_units``: patients of the rows (None: each row its own). An error for a row of zeros.
    """
    known = checked_rows("train", train, train_units, least=2)
    made = checked_rows("synthetic", synthetic, synthetic_units, like=known, least=2)
    frechet = frechet_distance(known.values, made.values, real_units=known.units, synthetic_units=made.units)
    distances = memorisation_distances(known, made).cpu().numpy()
    mean, error = float(distances.mean()), None
    if made.n_units > 1:
        error = math.sqrt(influence_variance((distances - mean) / len(made), made.units))
    penalty = mean + EPSILON if mean < THRESHOLD else 1.0
    return MiFid(frechet.value / penalty if frechet.value > NO_DISTANCE else 0.0, frechet, mean, error)
