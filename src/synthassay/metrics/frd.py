"""Fréchet radiomics distance (FRD; Konz, Osuala et al. 2026, arXiv 2412.01496; as version 1 of frd-score).

FRD = log D with D the *squared* Fréchet distance between radiomic features, each of them first standardised with the
mean and the standard deviation (with n) that it has in the real set. The paper's text has log √D, half of it; the code
it was computed with, and this one, leave out the root. It is asymmetric: with the sets exchanged the features are
measured in other units. A feature that is constant over the real images has no unit; it is left out and named.

Interval: on the scale of the logarithm, se(log D) = se(D)/D, from the influence of each row on D, summed within
patients. For the map T between the Gaussians see :mod:`synthassay.metrics.frechet`; a real row x has a second influence
through the units, -Σⱼ Dⱼ(xⱼ²-1) with D = Σⱼ Dⱼ and Dⱼ = (μ₁-μ₂)ⱼ² + S₁ⱼⱼ + S₂ⱼⱼ - 2(TS₂)ⱼⱼ, the share of feature j.
Texture features nearly follow from each other. Directions in which the product of the covariances is lost in rounding
count as having no variance; D and its influence go to zero with them, so this changes neither.

In simulated repeats with 3 images of each patient, 300 synthetic images and d = 12, the 95% interval would hold the
expected value in 61 to 89% at 25 and at 50 patients without the influence through the units.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthassay.errors import UserError
from synthassay.metrics.frechet import frechet_distance
from synthassay.metrics.intervals import CONFIDENCE, Interval, influence_variance, no_interval, t_interval, unit_codes
from synthassay.metrics.points import Features, checked_features

METRIC = "frd"
DEFINITION = "log of the squared Fréchet distance, features standardised by the real set (n), constant ones left out"
UNIT = "log squared distance in real standard deviations"
HIGHER_IS_BETTER: bool | None = False

CONSTANT = 1e-6  # standard deviation over the largest magnitude under which a float32 feature holds rounding only
ROUNDING = 1e-14  # of the largest eigenvalue: a smaller one is rounding
ZERO = 1e-6  # of the sum of both variances: a smaller distance may be the root of a rounding error

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RadiomicsDistance:
    """log of the squared distance, -inf where the sets coincide; ``standard_error`` is that of the logarithm.

    ``units``: patients of the side that has fewer. ``note``: why there is no standard error, and which features were
    left out. ``shares``: (feature, its share of the squared distance), largest first; empty without a standard error.
    """

    value: float
    standard_error: float | None
    units: int
    note: str = ""
    shares: tuple[tuple[str, float], ...] = ()

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """t interval of the logarithm with units-1 degrees of freedom, and :attr:`note`."""
        if self.standard_error is None:
            return no_interval(self.note)
        method = "influence function by patient, log scale"
        return replace(t_interval(self.value, self.standard_error, self.units, confidence, method), note=self.note)


def frd(
    real: Features, synthetic: Features, *, real_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None, names: Sequence[str] | None = None,
) -> RadiomicsDistance:  # fmt: skip
    """FRD of ``[m, d]`` synthetic radiomic features from ``[n, d]`` real ones; not the same with the sets exchanged.

    ``real_units``, ``synthetic_units``: patients of the rows (None: each row its own). ``names``: of the d features
    (None: their numbers). Equals frd-score's version 1 on the same features in float64.
    """
    first, second = _checked("real", real, real_units), _checked("synthetic", synthetic, synthetic_units)
    if first.dimension != second.dimension:
        raise UserError(
            f"features have {first.dimension} and {second.dimension} columns; use one encoder for both sets"
        )
    labels = np.array([str(j) for j in range(first.dimension)] if names is None else list(names), np.str_)
    if len(labels) != first.dimension:
        raise UserError(f"{len(labels)} names were given for {first.dimension} features")
    kept, dropped = _with_a_unit(first.values, second.values, labels)
    mean, deviation = first.values[:, kept].mean(axis=0), first.values[:, kept].std(axis=0)
    ours, theirs = (replace(rows, values=(rows.values[:, kept] - mean) / deviation) for rows in (first, second))
    return _distance(ours, theirs, labels[kept], dropped)


@dataclass(frozen=True, slots=True)
class _Set:
    """``values``: ``[n, d]``; ``units``: ``[n]`` codes."""

    values: Matrix
    units: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def dimension(self) -> int:
        return int(self.values.shape[1])


def _checked(name: str, features: Features, units: ArrayLike | None) -> _Set:
    values = checked_features(name, features)
    if len(values) < 2:
        raise UserError(f"FRD needs 2 rows on each side, '{name}' has {len(values)}")
    codes = np.arange(len(values)) if units is None else unit_codes(units)
    if len(codes) != len(values):
        raise UserError(f"'{name}' has {len(values)} rows of features and {len(codes)} patients")
    return _Set(values, codes)


def _with_a_unit(real: Matrix, synthetic: Matrix, names: NDArray[np.str_]) -> tuple[NDArray[np.bool_], str]:
    """Mask ``[d]`` of the features that vary over the real images, and a note that names the others."""

    def varies(rows: Matrix) -> NDArray[np.bool_]:
        return np.asarray(rows.std(axis=0) > CONSTANT * np.abs(rows).max(axis=0))

    kept = varies(real)
    if not kept.any():
        raise UserError(f"FRD: each of the {len(kept)} features is the same for all {len(real)} real images")
    hidden = ~kept & varies(np.concatenate([synthetic, real[:1]]))
    note = f"left out, constant over the real images: {', '.join(names[~kept])}" if not kept.all() else ""
    return kept, note + (f"; not so in the synthetic images: {', '.join(names[hidden])}" if hidden.any() else "")


def _distance(real: _Set, synthetic: _Set, names: NDArray[np.str_], dropped: str) -> RadiomicsDistance:
    """FRD of standardised features."""
    found = frechet_distance(real.values, synthetic.values, real_units=real.units, synthetic_units=synthetic.units)
    value, units = (
        math.log(found.value) if found.value > 0 else -math.inf,
        1 + int(min(real.units.max(), synthetic.units.max())),
    )
    if found.value <= ZERO * float(real.values.var(axis=0).sum() + synthetic.values.var(axis=0).sum()):
        reason, value = "the sets coincide: the distance is 0 and its logarithm has no interval", -math.inf
    elif min(len(real), len(synthetic)) < real.dimension:
        reason = (f"n < d ({min(len(real), len(synthetic))} < {real.dimension}): the covariance is rank-deficient, "
                  "so there is no interval and the value depends on n")  # fmt: skip
    elif units < 2:
        reason = "an interval needs 2 patients on each side"
    else:
        variance, shares = _variance(real, synthetic)
        order = np.argsort(-shares, kind="stable")
        ranked = tuple((str(names[j]), float(shares[j] / shares.sum())) for j in order)
        return RadiomicsDistance(value, math.sqrt(variance) / found.value, units, dropped, ranked)
    return RadiomicsDistance(value, None, units, "; ".join(part for part in (reason, dropped) if part))


def _variance(real: _Set, synthetic: _Set) -> tuple[float, Matrix]:
    """Variance of the squared distance D, and its parts Dⱼ ``[d]``."""
    gap = real.values.mean(axis=0) - synthetic.values.mean(axis=0)
    ours, theirs = (np.atleast_2d(np.cov(rows.values, rowvar=False)) for rows in (real, synthetic))
    factor, inverse = _factor(ours)
    values, vectors = np.linalg.eigh(factor.T @ theirs @ factor)
    kept = values > ROUNDING * values[-1]
    roots, basis = np.sqrt(values[kept]), vectors[:, kept]
    left, right = factor @ basis, inverse @ basis
    there, back = (left / roots) @ left.T, (right * roots) @ right.T  # T and T⁻¹
    shares = gap**2 + np.diagonal(ours) + np.diagonal(theirs) - 2 * np.einsum("jk,kj->j", there, theirs)
    through_units = (real.values - real.values.mean(axis=0)) ** 2 @ shares
    of_real = _influence(real.values, 2 * gap, back) - through_units
    of_synthetic = _influence(synthetic.values, -2 * gap, there)
    variance = influence_variance((of_real - of_real.mean()) / len(real), real.units)
    variance += influence_variance((of_synthetic - of_synthetic.mean()) / len(synthetic), synthetic.units)
    return variance, shares


def _factor(covariance: Matrix) -> tuple[Matrix, Matrix]:
    """F ``[d, r]`` with S = FFᵀ, and the transpose of its pseudo-inverse, ``[d, r]``."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > ROUNDING * values[-1]
    root, basis = np.sqrt(values[kept]), vectors[:, kept]
    return basis * root, basis / root


def _influence(values: Matrix, slope: Matrix, transport: Matrix) -> Matrix:
    """``[n]``: influence of each row on D in fixed units, up to a constant."""
    rows = values - values.mean(axis=0)
    return np.asarray(rows @ slope + np.einsum("nd,nd->n", rows, rows - rows @ transport))
