"""Vendi score (Friedman & Dieng 2023): the effective number of different images in one set.

exp(-Σ λ log λ) over the eigenvalues λ > 0 of K/n, K the inner products of L2-normalised features. They are also the
eigenvalues of the d×d matrix ρ = Σ x xᵀ / n, which is taken where n > d. The score lies between 1 and min(n, d), grows
with n, and noise raises it: only the score of as many real images beside it (the floor) gives it a direction.

Standard error by the influence function of the entropy H = -tr ρ log ρ, which is IF(x) = -xᵀ(log ρ)x - H for unit x
(d tr f(ρ) = tr f'(ρ) dρ, and tr dρ = 0), times the score by the delta method, summed within patients. It describes the
score expected at this n. Over 200 simulated repeats it was within 6% of the true spread at 40 to 200 patients, n < d
too.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from synthassay.errors import UserError
from synthassay.metrics.inputs import Rows, checked_rows, directions
from synthassay.metrics.intervals import CONFIDENCE, Interval, influence_variance, no_interval, t_interval
from synthassay.metrics.points import Features

DEFINITION = "L2-normalised, linear kernel, exp of the entropy (q=1)"
HIGHER_IS_BETTER: bool | None = None
RANK = 1e-14  # of the largest eigenvalue: under it an eigenvalue is rounding
FLAT = 1e-10  # of the score: a standard error under it is rounding


@dataclass(frozen=True, slots=True)
class Vendi:
    """The score of ``n`` images of ``units`` patients; ``limit`` is min(n, d), its largest possible value."""

    value: float
    standard_error: float | None
    n: int
    units: int
    limit: int

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """t interval with units-1 degrees of freedom, inside [1, ``limit``]."""
        if self.standard_error is None:
            return no_interval("an interval needs 2 patients")
        if self.standard_error <= FLAT * self.value:
            return no_interval("every patient contributes alike, so the spread between patients is unknown")
        interval = t_interval(self.value, self.standard_error, self.units, confidence, "influence function by patient")
        return interval.clipped(1.0, self.limit)


def _spectrum(values: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues λ ``[r]`` of K/n, and the squared coordinates ``[n, r]`` of each row in the eigenvectors of ρ."""
    n, d = values.shape
    if n > d:
        found, vectors = torch.linalg.eigh(values.T @ values / n)
        squares = (values @ vectors).square()
    else:
        found, vectors = torch.linalg.eigh(values @ values.T / n)
        squares = n * found * vectors.square()
    kept = found > RANK * found[-1]
    return found[kept], squares[:, kept]


def _score(rows: Rows) -> Vendi:
    """``rows`` are of unit length."""
    n, d = rows.values.shape
    spectrum, squares = _spectrum(rows.values)
    entropy = -float(spectrum @ spectrum.log())
    value, error = math.exp(entropy), None
    if rows.n_units > 1:
        influence = value * (squares @ -spectrum.log() - entropy) / n
        error = math.sqrt(influence_variance(influence.cpu().numpy(), rows.units))
    return Vendi(value, error, n, rows.n_units, min(n, d))


def vendi(features: Features, *, units: ArrayLike | None = None) -> Vendi:
    """Vendi score of ``[n, d]`` floating point features; ``units``: patients of the rows (None: each row its own).

    An error for a row of zeros.
    """
    return _score(directions(checked_rows("features", features, units)))


def vendi_per_class(features: Features, labels: ArrayLike, *, units: ArrayLike | None = None) -> dict[str | int, Vendi]:
    """Vendi score of the rows of each label of ``labels`` ``[n]`` (text or integers), in order of the labels.

    Scores depend on n: compare a class with as many real images of that class, never two classes of other sizes.
    """
    rows, names = directions(checked_rows("features", features, units)), np.asarray(labels)
    if names.shape != (len(rows),):
        raise UserError(f"'features' has {len(rows)} rows and labels of shape {names.shape}")
    members = {name.item(): np.flatnonzero(names == name) for name in np.unique(names)}
    return {
        name: _score(checked_rows("features", rows.values[rows.on_device(kept)], rows.units[kept]))
        for name, kept in members.items()
    }
