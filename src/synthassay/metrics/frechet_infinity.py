"""FD∞ (Chong & Forsyth 2020): the Fréchet distance extrapolated to endlessly many synthetic images.

The distance is biased upwards by about a constant over N. It is taken at 15 sample counts, evenly spaced from
min(5000, n/10) to n, each a fresh random subset of the synthetic set against the whole real set, and fitted by least
squares as a line in 1/N; FD∞ is its intercept, as in dgm-eval. The bias of the real side's own count stays.

Subsets are whole patients where patients are given. The bias of clustered images falls with the number of patients:
subsets of images would keep every patient, so that the line could not see it. Where each image is its own patient the
two are one, which is the published convention.

It does not exist at n < d on either side: the distance of singular covariances is not linear in 1/N.

Standard error: each distance moves with the mean influence of its subset (:mod:`~synthassay.metrics.frechet`), and the
intercept is a weighted sum of the distances, so an image's influence is its own times the weights of the counts it was
drawn in; summed within patients.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from synthassay.metrics.inputs import Matrix, Rows, checked_rows
from synthassay.metrics.intervals import CONFIDENCE, Interval, influence_variance, no_interval, t_interval
from synthassay.metrics.points import Features
from synthassay.seeding import numpy_generator

POINTS = 15
DEFINITION = (
    f"Gaussian, {POINTS} counts of synthetic images from min(5000, n/10) to n, whole patients, line in 1/N, intercept"
)
HIGHER_IS_BETTER: bool | None = False
RANK = 1e-12  # of the largest eigenvalue: under it a direction counts as constant
OUTSIDE = 1e-9  # share of the synthetic variance that may lie where the real set has none
LEAST_COUNTS = 3  # different counts that a line with an error needs


@dataclass(frozen=True, slots=True)
class FrechetInfinity:
    """FD∞ (None where absent, ``note`` says why), and the ``counts`` and ``distances`` that the line was fitted to."""

    value: float | None
    standard_error: float | None
    units: int
    counts: NDArray[np.int64]
    distances: Matrix
    note: str = ""

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """t interval with units-1 degrees of freedom; it may go below 0, as the value may."""
        if self.value is None or self.standard_error is None:
            return no_interval(self.note)
        return t_interval(
            self.value, self.standard_error, self.units, confidence, "influence function by patient, of the intercept"
        )


class _Reference:
    """The real Gaussian, of which the factor S₁ = FFᵀ is computed once; all rows are taken relative to its mean."""

    def __init__(self, real: Rows) -> None:
        self.mean = real.values.mean(dim=0)
        self.rows = real.values - self.mean
        values, vectors = torch.linalg.eigh(self.rows.T @ self.rows / (len(real) - 1))
        kept = values > RANK * values[-1].clamp(min=0.0)
        root, basis = values[kept].sqrt(), vectors[:, kept]
        self.trace = float(values.sum())
        self.factor, self.inverse = basis * root, basis / root


class _Second:
    """The synthetic rows relative to the real mean (``rows``), and in the coordinates of the factor (``inner``)."""

    def __init__(self, reference: _Reference, synthetic: Rows) -> None:
        self.rows = synthetic.values - reference.mean
        self.inner = self.rows @ reference.factor
        self.trace = reference.trace

    def distance(self, chosen: Tensor) -> float:
        """Fréchet distance of the ``chosen`` rows to the reference: the roots of FᵀS₂F, or of its Gram matrix."""
        rows, inner = self.rows[chosen], self.inner[chosen]
        gap = rows.mean(dim=0)
        spread = float((rows - gap).square().sum()) / (len(rows) - 1)
        inner = (inner - inner.mean(dim=0)) / math.sqrt(len(rows) - 1)
        product = inner.T @ inner if len(inner) >= inner.shape[1] else inner @ inner.T
        roots = torch.linalg.eigvalsh(product).clamp_(min=0.0).sqrt_()
        return max(0.0, float(gap @ gap) + self.trace + spread - 2 * float(roots.sum()))


def frechet_infinity(
    real: Features, synthetic: Features, *, real_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None, seed: int = 0,
) -> FrechetInfinity:  # fmt: skip
    """FD∞ of ``[m, d]`` synthetic features against ``[n, d]`` real ones, floating point.

    ``real_units``, ``synthetic_units``: patients of the rows (None: each row its own).
    """
    first = checked_rows("real", real, real_units, least=2)
    second = checked_rows("synthetic", synthetic, synthetic_units, like=first, least=2)
    units, least = min(first.n_units, second.n_units), min(len(first), len(second))
    if least <= first.dimension:
        sign = "<" if least < first.dimension else "="
        return _absent(f"n {sign} d ({least} {sign} {first.dimension}): the covariance is rank-deficient and the "
                       "distance is not linear in 1/N; read KID instead", units)  # fmt: skip
    subsets = growing_subsets(second.units, numpy_generator("FD infinity", seed))
    counts = np.array([len(chosen) for chosen in subsets])
    if len(np.unique(counts)) < LEAST_COUNTS:
        return _absent(f"{len(second)} synthetic images of {second.n_units} patients give {len(np.unique(counts))} "
                       f"different counts, a line needs {LEAST_COUNTS}", units)  # fmt: skip
    reference = _Reference(first)
    made = _Second(reference, second)
    distances = np.array([made.distance(second.on_device(chosen)) for chosen in subsets])
    weights = _intercept_weights(1.0 / counts)
    error, note = _standard_error(reference, made, first, second, subsets, weights)
    if counts[0] < first.dimension:
        note = "; ".join(filter(None, (note, f"the smallest count, {counts[0]}, is below d = {first.dimension}, where "
                                             "the line bends")))  # fmt: skip
    return FrechetInfinity(float(weights @ distances), error, units, counts, distances, note)


def _absent(note: str, units: int) -> FrechetInfinity:
    return FrechetInfinity(None, None, units, np.zeros(0, np.int64), np.zeros(0), note)


def growing_subsets(units: NDArray[np.int64], generator: np.random.Generator) -> list[NDArray[np.int64]]:
    """Rows of one random subset of whole units near each wanted count, the last being all rows."""
    n, sizes = len(units), np.bincount(units)
    found = []
    for wanted in np.linspace(min(5000, max(n // 10, 2)), n, POINTS).astype(np.int64):
        order = generator.permutation(len(sizes))
        reached = np.cumsum(sizes[order])
        taken = int(np.abs(reached - wanted).argmin()) + 1
        while reached[taken - 1] < 2:  # a covariance needs two rows
            taken += 1
        found.append(np.flatnonzero(np.isin(units, order[:taken])))
    return found


def _intercept_weights(x: Matrix) -> Matrix:
    """w with w·y the intercept of the least-squares line of y over x; they sum to 1."""
    deviation = x - x.mean()
    return np.asarray(1.0 / len(x) - x.mean() * deviation / (deviation @ deviation))


def _standard_error(
    reference: _Reference, made: _Second, first: Rows, second: Rows, subsets: list[NDArray[np.int64]], weights: Matrix
) -> tuple[float | None, str]:
    """The standard error, or None and why; with T = F(FᵀS₂F)^(-½)Fᵀ as in the module that owns the distance."""
    if min(first.n_units, second.n_units) < 2:
        return None, "an interval needs 2 patients on each side"
    gap = made.rows.mean(dim=0)
    rows, inner = made.rows - gap, made.inner - made.inner.mean(dim=0)
    values, vectors = torch.linalg.eigh(inner.T @ inner / (len(rows) - 1))
    total, inside = float(rows.square().sum()), float(((rows @ reference.inverse) * inner).sum())
    if not len(values) or values[0] <= RANK * values[-1] or abs(total - inside) > OUTSIDE * total:
        return None, "one covariance is singular where the other is not: no standard error"
    share = np.zeros(len(rows))
    for chosen, weight in zip(subsets, weights, strict=True):
        share[chosen] += weight / len(chosen)
    roots = values.sqrt()
    moved = (inner @ vectors).square() / roots
    of_second = _influence(rows, 2 * gap, moved.sum(dim=1)) * share
    moved = (reference.rows @ reference.inverse @ vectors).square() * roots
    of_first = _influence(reference.rows, -2 * gap, moved.sum(dim=1)) / len(first)
    return math.sqrt(influence_variance(of_second, second.units) + influence_variance(of_first, first.units)), ""


def _influence(rows: Tensor, slope: Tensor, transported: Tensor) -> Matrix:
    """slope·x + |x|² - xᵀTx for rows x less their mean, centred."""
    influence = rows @ slope + torch.linalg.vecdot(rows, rows) - transported
    return np.asarray((influence - influence.mean()).cpu().numpy())
