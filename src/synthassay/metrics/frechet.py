"""Fréchet distance between Gaussians fitted to two sets (Heusel et al. 2017), float64, covariances with n-1.

|μ₁-μ₂|² + tr S₁ + tr S₂ - 2 tr√(S₁S₂). The last trace is taken on symmetric matrices only:

- n > d on both sides: Σ√λ(F₁ᵀS₂F₁) with S₁ = F₁F₁ᵀ;
- otherwise: the nuclear norm of ABᵀ / √((n₁-1)(n₂-1)), A and B the centred data, without any d×d matrix.

Standard error by influence functions: with T = F₁(F₁ᵀS₂F₁)^(-½)F₁ᵀ the optimal map from the second Gaussian to the
first, IF(x) = 2(μ₂-μ₁)ᵀ(x-μ₂) + (x-μ₂)ᵀ(I-T)(x-μ₂) for a row of the second set, and the same with T⁻¹ for the first;
summed within patients, divided by n. It describes the value expected at this n, bias included. It does not exist where
a covariance is singular (n ≤ d) and degenerates near zero distance.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.linalg import lapack
from torch import Tensor

from synthassay.errors import UserError
from synthassay.metrics.intervals import CONFIDENCE, Interval, influence_variance, no_interval, t_interval
from synthassay.metrics.points import Features, Points, centred_points, mean_of, row_blocks
from synthassay.team import ALONE, Team

RANK = 1e-12  # of a covariance's largest eigenvalue: under it a direction counts as constant
ROUNDING = 1e-14  # of the largest eigenvalue of the product of both: under it an eigenvalue is rounding
NOT_ASKED = "no standard error was asked for"
OUTSIDE = 1e-9  # share of a covariance's trace that may lie outside the other's range


class Factor:
    """F ``[d, r]`` with S = FFᵀ: Cholesky's triangle where S has full rank, else scaled eigenvectors."""

    def __init__(self, covariance: Tensor) -> None:
        triangle, failed = torch.linalg.cholesky_ex(covariance)
        pivots = triangle.diagonal() ** 2
        self.full = not bool(failed) and bool(pivots.min() > RANK * pivots.max())
        if self.full:
            self.matrix = triangle
            return
        values, vectors = torch.linalg.eigh(covariance)
        kept = values > RANK * values[-1].clamp(min=0.0)
        root, basis = values[kept].sqrt(), vectors[:, kept]
        self.matrix, self._inverse = basis * root, (basis / root).T

    def solved(self, right: Tensor) -> Tensor:
        """F⁻ᵀ ``right`` (its pseudo-inverse where S is singular): ``[d, c]`` from ``[r, c]``."""
        if self.full:
            return torch.as_tensor(torch.linalg.solve_triangular(self.matrix.T, right, upper=True))
        return torch.as_tensor(self._inverse.T @ right)

    def congruent(self, covariance: Tensor) -> Tensor:
        """Fᵀ S₂ F ``[r, r]`` of another covariance S₂; only its lower triangle is to be read."""
        if self.full and covariance.device.type == "cpu":  # LAPACK does it at a quarter of the operations
            found, info = lapack.dsygst(covariance.numpy().T, self.matrix.numpy(), itype=2, lower=1)
            if info:
                raise ArithmeticError(f"LAPACK's dsygst refused its argument {-info}")
            return torch.from_numpy(np.asarray(found))
        return torch.as_tensor(self.matrix.T @ covariance @ self.matrix)

    def share_inside(self, covariance: Tensor) -> float:
        """The part of the trace of another covariance that lies in the range of S."""
        if self.full:
            return float(covariance.diagonal().sum())
        basis = torch.linalg.qr(self.matrix)[0]
        return float((basis * (covariance @ basis)).sum())


class Moments:
    """Mean and covariance of one set, streamed in double, and the covariance's factor, made when first needed.

    ``covariance``: ``[d, d]`` where it is known already.
    """

    def __init__(self, points: Points, team: Team = ALONE, covariance: Tensor | None = None) -> None:
        if len(points) < 2:
            raise UserError(f"the Fréchet distance needs 2 rows, '{points.name}' has {len(points)}")
        self.points, self._team, self._known = points, team, covariance
        total = torch.zeros(points.dimension, dtype=torch.float64, device=points.device)
        for _, block in points.blocks():
            total += block.sum(dim=0)
        self.mean = total / len(points)
        self.trace = sum(float(((block - self.mean) ** 2).sum()) for _, block in points.blocks()) / (self.n - 1)

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.points)

    @property
    def dimension(self) -> int:
        """d."""
        return self.points.dimension

    @property
    def rows(self) -> Tensor:
        """``[n, d]`` float64, centred; for small sets."""
        return self.points.vectors() - self.mean

    @cached_property
    def covariance(self) -> Tensor:
        """``[d, d]``, with n-1; each process of a team adds its blocks."""
        if self._known is not None:
            return self._known
        d = self.dimension
        total = torch.zeros((d, d), dtype=torch.float64, device=self.points.device)
        for number, rows in enumerate(row_blocks(self.n, d)):
            if self._team.owns(number):
                block = self.points.vectors(rows) - self.mean
                total.addmm_(block.T, block)
        return self._team.add(total).div_(self.n - 1)

    @cached_property
    def factor(self) -> Factor:
        """Of the covariance."""
        return Factor(self.covariance)


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


def frechet_from_moments(first: Moments, second: Moments, *, error: bool = True) -> FrechetDistance:
    """Distance of two sets; put the real set first, so that its factor is computed once for many others.

    ``error``: whether to compute the standard error, which costs more than the value.
    """
    if first.dimension != second.dimension:
        raise UserError(
            f"features have {first.dimension} and {second.dimension} columns; use one encoder for both sets"
        )
    gap = first.mean - second.mean
    base = float(gap @ gap) + first.trace + second.trace
    units = min(first.points.n_units, second.points.n_units)
    fewer, d = min(first.n, second.n), first.dimension
    if fewer <= d:
        sign = "<" if fewer < d else "="
        note = (f"n {sign} d ({fewer} {sign} {d}): the covariance is rank-deficient, "
                "so there is no interval and the value depends on n; read KID instead")  # fmt: skip
        return FrechetDistance(max(0.0, base - 2 * _low_rank_trace(first, second)), None, units, note)
    inner = first.factor.congruent(second.covariance)
    if not error or units < 2:
        value = max(0.0, base - 2 * float(_roots(torch.linalg.eigvalsh(inner)).sum()))
        return FrechetDistance(value, None, units, "an interval needs 2 patients on each side" if error else NOT_ASKED)
    values, vectors = torch.linalg.eigh(inner)
    roots = _roots(values)
    value = max(0.0, base - 2 * float(roots.sum()))
    note = _why_no_error(first, second, values)
    if note:
        return FrechetDistance(value, None, units, note)
    left, right = first.factor.matrix @ vectors, first.factor.solved(vectors)
    variance = _variance(second, -2 * gap, (left / roots) @ left.T)
    variance += _variance(first, 2 * gap, (right * roots) @ right.T)
    return FrechetDistance(value, math.sqrt(variance), units)


def _roots(values: Tensor) -> Tensor:
    return values.clamp(min=0.0).sqrt()


def _low_rank_trace(first: Moments, second: Moments) -> float:
    small, large = (first, second) if first.n <= second.n else (second, first)
    if large.n <= 2 * small.dimension:
        singular = torch.linalg.svdvals(small.rows @ large.rows.T) / math.sqrt(large.n - 1)
    else:  # the large side enters by its d×d covariance
        singular = _roots(torch.linalg.eigvalsh(small.rows @ large.covariance @ small.rows.T))
    return float(singular.sum()) / math.sqrt(small.n - 1)


def _why_no_error(first: Moments, second: Moments, values: Tensor) -> str:
    """Empty where both covariances span the same directions, so that the map between them exists."""
    if not len(values) or values[0] <= ROUNDING * values[-1]:
        return "the synthetic covariance is singular where the real one is not: no standard error"
    if abs(second.trace - first.factor.share_inside(second.covariance)) > OUTSIDE * second.trace:
        return "the real covariance is singular where the synthetic one is not: no standard error"
    return ""


def _variance(moments: Moments, slope: Tensor, transport: Tensor) -> float:
    influence = np.empty(moments.n)
    for rows, block in moments.points.blocks():
        centred = block - moments.mean
        quadratic = torch.linalg.vecdot(centred, centred - centred @ transport)
        influence[rows] = (centred @ slope + quadratic).cpu().numpy()
    return influence_variance((influence - influence.mean()) / moments.n, moments.points.units)


def frechet_distance(
    real: Features, synthetic: Features, *, real_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None,
) -> FrechetDistance:  # fmt: skip
    """Squared Fréchet distance of ``[n, d]`` and ``[m, d]`` floating point features.

    ``real_units``, ``synthetic_units``: patients of the rows (None: each row its own). Called FID only on features of
    FID-Inception.
    """
    centre = mean_of("real", real)
    first = centred_points("real", real, real_units, centre)
    second = centred_points("synthetic", synthetic, synthetic_units, centre)
    return frechet_from_moments(Moments(first), Moments(second))
