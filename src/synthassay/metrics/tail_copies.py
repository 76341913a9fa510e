"""The share of synthetic images that lie much nearer to one training patient than to others (Carlini et al. 2023).

The ratio of an image is its distance to the nearest training patient over half its mean distance to the 50 nearest
ones; the image counts where the ratio is at most 1. Distance to a patient is to the nearest of the patient's images,
for with slices of one patient counted apart a copy would have 50 near neighbours and pass. Where each training image is
its own patient this is the published ratio, of α = ½ and n = 50.

It is a tail count: one copy in a hundred moves it from 0 to 0.01, where means over images (authenticity, C_T) do not
move. In few dimensions honest images fall under the threshold too, so only the difference to held-out images (the
floor) counts as copying. The interval is over synthetic images, the training set given.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from synthassay.errors import UserError
from synthassay.metrics.inputs import Matrix, Rows, checked_rows, distance_tiles
from synthassay.metrics.intervals import CONFIDENCE, Interval, clustered_mean, no_interval, share_interval, t_interval
from synthassay.metrics.points import Features

NEIGHBOURS = 50
ALPHA = 0.5
DEFINITION = f"d(g, nearest train patient) <= {ALPHA} * mean d(g, {NEIGHBOURS} nearest train patients)"
HIGHER_IS_BETTER: bool | None = False


@dataclass(frozen=True, slots=True)
class TailCopies:
    """``ratios`` and ``units`` ``[m]`` of the synthetic rows, in their order."""

    ratios: Matrix
    units: NDArray[np.int64]

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """``[m]``: which images count."""
        return np.asarray(self.ratios <= 1.0)

    @property
    def value(self) -> float:
        """Share of images that count."""
        return float(self.flagged.mean())

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Clustered t interval of the share, by synthetic unit; Clopper-Pearson at 0 and 1."""
        mean, error, count = clustered_mean(self.flagged, self.units)
        if math.isnan(error):
            return no_interval("an interval needs 2 units of resampling")
        interval = t_interval(
            mean, error, count, confidence, "clustered mean over synthetic images, training set given"
        )
        return share_interval(mean, interval, count, confidence)


def tail_copies(
    train: Features, synthetic: Features, *, train_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None, neighbours: int = NEIGHBOURS,
) -> TailCopies:  # fmt: skip
    """Tail count of ``[m, d]`` synthetic features against the ``[n, d]`` features that were trained on.

    ``train_units``, ``synthetic_units``: patients of the rows (None: each row its own). With fewer than ``neighbours``
    training patients the mean is over all of them; an error with fewer than 3, where the ratio says nothing.
    """
    known = checked_rows("train", train, train_units)
    made = checked_rows("synthetic", synthetic, synthetic_units, like=known)
    if known.n_units < 3:
        raise UserError(f"'train' has {known.n_units} patients; a copy stands out from the others only where 3 are")
    return TailCopies(_ratios(known, made, min(neighbours, known.n_units)).cpu().numpy(), made.units)


def _ratios(known: Rows, made: Rows, neighbours: int) -> Tensor:
    codes = known.on_device(known.units)
    ratios = made.values.new_empty(len(made))
    for rows, squares in distance_tiles(made.values, known.values):
        to_patients = squares.new_full((len(squares), known.n_units), torch.inf)
        to_patients.scatter_reduce_(1, codes.expand_as(squares), squares, "amin")
        near = to_patients.sqrt_().topk(neighbours, largest=False).values
        # Where all of them lie at distance 0, the image is a copy.
        ratios[rows] = torch.nan_to_num(near[:, 0] / (ALPHA * near.mean(dim=1)), nan=0.0)
    return ratios
