"""Fréchet distance between Gaussians fitted to two sets (Heusel et al. 2017), float64, covariances with n-1.

|μ₁-μ₂|² + tr S₁ + tr S₂ - 2 tr√(S₁S₂). The last trace is taken on symmetric matrices only:

- n ≥ d on both sides: Σ√λ(F₁ᵀS₂F₁) with S₁ = F₁F₁ᵀ;
- otherwise: the nuclear norm of ABᵀ / √((n₁-1)(n₂-1)), A and B the centred data, without any d×d matrix.

Standard error by influence functions: with T = F₁(F₁ᵀS₂F₁)^(-½)F₁ᵀ the optimal map from the second Gaussian to the
first, IF(x) = 2(μ₂-μ₁)ᵀ(x-μ₂) + (x-μ₂)ᵀ(I-T)(x-μ₂) for a row of the second set, and the same with T⁻¹ for the first;
summed within patients, divided by n. It describes the value expected at this n, bias included. It does not exist where
a covariance is singular (n < d) and degenerates near zero distance.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthassay.errors import UserError
from synthassay.metrics.intervals import CONFIDENCE, Interval, influence_variance, no_interval, t_interval
from synthassay.metrics.points import Points, centred_points

RANK = 1e-12  # of the largest eigenvalue: under it a direction counts as constant
OUTSIDE = 1e-9  # share of a covariance's trace that may lie outside the other's range

Matrix = NDArray[np.float64]


class Moments:
    """Mean, centred rows and covariance factor of one set; the factor is computed once, when first needed."""

    def __init__(self, points: Points) -> None:
        if len(points) < 2:
            raise UserError(f"the Fréchet distance needs 2 rows, '{points.name}' has {len(points)}")
        self.units = points.units
        self.n_units = points.n_units
        self.mean: Matrix = points.vectors.mean(axis=0)
        self.rows: Matrix = points.vectors - self.mean
        self.trace = float(np.einsum("nd,nd->", self.rows, self.rows)) / (len(points) - 1)

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.rows)

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.rows.shape[1])

    @cached_property
    def covariance(self) -> Matrix:
        """``[d, d]``, with n-1."""
        return self.rows.T @ self.rows / (self.n - 1)

    @cached_property
    def factor(self) -> tuple[Matrix, Matrix]:
        """F ``[d, r]`` with S = FFᵀ, and its pseudo-inverse ``[r, d]``; r is the rank of S."""
        values, vectors = np.linalg.eigh(self.covariance)
        kept = values > RANK * max(float(values[-1]), 0.0)
        root, basis = np.sqrt(values[kept]), vectors[:, kept]
        return basis * root, (basis / root).T


@dataclass(frozen=True, slots=True)
class FrechetDistance:
    """Squared Fréchet distance; ``standard_error`` is None where it does not exist, and ``note`` says why."""

    value: float
    standard_error: float | None
    units: int
    note: str = ""

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """t interval with units-1 degrees of freedom, not below 0."""
        if self.standard_error is None:
            return no_interval(self.note)
        interval = t_interval(self.value, self.standard_error, self.units, confidence, "influence function by patient")
        return interval.clipped(0.0, math.inf)


def frechet_from_moments(first: Moments, second: Moments) -> FrechetDistance:
    """Distance of two sets; put the real set first, so that its factor is computed once for many others."""
    if first.dimension != second.dimension:
        raise UserError(
            f"features have {first.dimension} and {second.dimension} columns; use one encoder for both sets"
        )
    gap = first.mean - second.mean
    base = float(gap @ gap) + first.trace + second.trace
    units = min(first.n_units, second.n_units)
    if min(first.n, second.n) < first.dimension:
        note = (f"n < d ({min(first.n, second.n)} < {first.dimension}): the covariance is rank-deficient, "
                "so there is no interval and the value depends on n; read KID instead")  # fmt: skip
        return FrechetDistance(max(0.0, base - 2 * _low_rank_trace(first, second)), None, units, note)
    factor, inverse = first.factor
    values, vectors = np.linalg.eigh(factor.T @ second.covariance @ factor)
    roots = np.sqrt(np.clip(values, 0.0, None))
    value = max(0.0, base - 2 * float(roots.sum()))
    note = _why_no_error(first, second, values, factor, inverse)
    if note or units < 2:
        return FrechetDistance(value, None, units, note or "an interval needs 2 patients on each side")
    left, right = factor @ vectors, inverse.T @ vectors
    variance = _variance(second, -2 * gap, (left / roots) @ left.T) + _variance(
        first, 2 * gap, (right * roots) @ right.T
    )
    return FrechetDistance(value, math.sqrt(variance), units)


def _low_rank_trace(first: Moments, second: Moments) -> float:
    products = first.rows @ second.rows.T
    singular = np.linalg.svd(products, compute_uv=False)
    return float(singular.sum()) / math.sqrt((first.n - 1) * (second.n - 1))


def _why_no_error(first: Moments, second: Moments, values: Matrix, factor: Matrix, inverse: Matrix) -> str:
    """Empty where both covariances span the same directions, so that the map between them exists."""
    if not len(values) or values[0] <= RANK * values[-1]:
        return "the synthetic covariance is singular where the real one is not: no standard error"
    inside = float(np.einsum("rd,de,er->", inverse, second.covariance, factor))
    if abs(second.trace - inside) > OUTSIDE * second.trace:
        return "the real covariance is singular where the synthetic one is not: no standard error"
    return ""


def _variance(moments: Moments, slope: Matrix, transport: Matrix) -> float:
    rows = moments.rows
    quadratic = np.einsum("nd,nd->n", rows, rows) - np.einsum("nd,nd->n", rows @ transport, rows)
    influence = rows @ slope + quadratic
    return influence_variance((influence - influence.mean()) / moments.n, moments.units)


def frechet_distance(
    real: ArrayLike, synthetic: ArrayLike, *, real_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None,
) -> FrechetDistance:  # fmt: skip
    """Squared Fréchet distance of ``[n, d]`` and ``[m, d]`` floating point features.

    ``real_units``, ``synthetic_units``: patients of the rows (None: each row its own). Called FID only on features of
    FID-Inception.
    """
    first = centred_points("real", real, real_units)
    centre = first.vectors.mean(axis=0)
    first = centred_points("real", real, real_units, centre)
    return frechet_from_moments(
        Moments(first), Moments(centred_points("synthetic", synthetic, synthetic_units, centre))
    )
