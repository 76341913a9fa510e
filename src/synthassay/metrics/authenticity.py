"""Authenticity (Alaa et al. 2022, as dgm-eval computes it).

A synthetic image g whose nearest training image is r is authentic if r has a training neighbour closer than g:
d(r, NN_train∖r) < d(g, r). In the *patient-aware* variant that neighbour must be of another patient, since a patient's
own images are near-duplicates and make every g look authentic.

Honest held-out images score 0.41 at d = 2 and 0.87 at d = 256, so a value has no direction of its own; only the
difference to the held-out control (the floor) means anything. The training set is taken as given, as it is for the
generator; the interval is over synthetic images, clustered by their unit.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from synthassay.metrics.intervals import (
    CONFIDENCE,
    Interval,
    clustered_mean,
    no_interval,
)
from synthassay.metrics.nearest import nearest_rows
from synthassay.metrics.neighbours import TIE, Neighbourhoods, Variant, describe
from synthassay.metrics.points import Features, centred_points, mean_of
from synthassay.metrics.split_halves import score_interval


@dataclass(frozen=True, slots=True)
class Authenticity:
    """``authentic``: ``[m]`` for each synthetic row (ordered by unit, as ``units``)."""

    authentic: NDArray[np.bool_]
    units: NDArray[np.int64]

    @property
    def value(self) -> float:
        """Share of authentic images."""
        return float(self.authentic.mean())

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Clustered t interval of the share, by synthetic unit."""
        mean, error, count = clustered_mean(self.authentic, self.units)
        if math.isnan(error):
            return no_interval("an interval needs 2 units of resampling")
        effective = mean * (1 - mean) / error**2 if error > 0 else float(count)
        method = "Wilson score on clustered synthetic images, training set given"
        return score_interval(mean, effective, count, confidence, method)


def authenticity_from(
    units: NDArray[np.int64], nearest: Tensor, distances: Tensor, train: Neighbourhoods
) -> Authenticity:  # fmt: skip
    """Authenticity from nearest neighbours.

    ``units``: ``[m]`` of the synthetic rows; ``nearest``: ``[m]`` the *training* row nearest to each, at the squared
    ``distances``; ``train``: neighbourhoods of the training rows under the wanted variant.
    """
    authentic = train.nearest[nearest] < distances * (1 - TIE)
    return Authenticity(authentic.cpu().numpy(), units)


def authenticity(
    train: Features, synthetic: Features, *, train_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None, variant: Variant = "patient-aware",
) -> Authenticity:  # fmt: skip
    """Authenticity of ``[m, d]`` synthetic features against the ``[n, d]`` features that were trained on."""
    centre = mean_of("train", train)
    real = centred_points("train", train, train_units, centre)
    made = centred_points("synthetic", synthetic, synthetic_units, centre)
    known = describe(real, np.ones((len(real), 1), np.bool_), 1)
    return authenticity_from(made.units, *nearest_rows(made, real), known.hoods[variant])
