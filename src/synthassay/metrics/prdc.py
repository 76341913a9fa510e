"""Precision, recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), as prdc computes them.

B_k(r) is the open ball around r whose radius is the distance to its k-th neighbour in its own set. The *classic*
variant excludes the point itself, the *patient-aware* one every image of its patient.

- precision: share of synthetic images inside some B_k(real); recall: share of real images inside some B_k(synthetic);
- density: mean over synthetic images of the number of B_k(real) they lie in, over k (unbounded);
- coverage: share of real images whose B_k holds a synthetic image.

All depend on both counts and on k, which therefore belong to a value's identity.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthassay.metrics.halfsampling import half_sample_interval, half_samples
from synthassay.metrics.intervals import CONFIDENCE, Interval, no_interval, share_interval
from synthassay.metrics.neighbours import (
    VARIANTS,
    Comparison,
    Neighbourhoods,
    SetDescription,
    Variant,
    compare,
    describe,
)
from synthassay.metrics.points import TIE, centred_points, checked_features
from synthassay.seeding import numpy_generator

SCORES = ("precision", "recall", "density", "coverage")


@dataclass(frozen=True, slots=True)
class ManifoldScores:
    """Each score in every replicate: ``[R]``, entry 0 from all images, the others from half-samples of both sides."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    density: NDArray[np.float64]
    coverage: NDArray[np.float64]
    real_units: int
    synthetic_units: int

    def value(self, score: str) -> float:
        """The score from all images."""
        return float(getattr(self, score)[0])

    def interval(self, score: str, confidence: float = CONFIDENCE) -> Interval:
        """Interval around :meth:`value`; t with the units of the smaller side less one."""
        value, draws = self.value(score), getattr(self, score)[1:]
        interval = half_sample_interval(value, draws, min(self.real_units, self.synthetic_units), confidence)
        if score == "density":
            if value == 0.0:
                return no_interval("no synthetic image lies in a real neighbourhood, so the spread is unknown")
            return interval.clipped(0.0, math.inf)
        units = self.synthetic_units if score == "precision" else self.real_units
        return share_interval(value, interval, units, confidence)


def manifold_scores(
    synthetic: SetDescription, real: SetDescription, comparison: Comparison, k: int
) -> dict[Variant, ManifoldScores]:  # fmt: skip
    """The four scores of each variant, in the whole sets and in each half-sample that both sides describe."""
    n_real, n_synthetic = real.kept.sum(axis=0), synthetic.kept.sum(axis=0)
    in_real: dict[int, _Counts] = {}  # by neighbourhoods, which the variants share where no unit has two images
    in_synthetic: dict[int, _Counts] = {}
    scores: dict[Variant, ManifoldScores] = {}
    for variant in VARIANTS:
        near, balls = comparison.near_real[variant], real.hoods[variant]
        if id(balls) not in in_real:
            limits = _inner_radii(balls, real.kept)
            in_real[id(balls)] = _count(near.distances, near.synthetic, synthetic.kept, near.real, limits)
        far, others = comparison.near_synthetic[variant], synthetic.hoods[variant]
        if id(others) not in in_synthetic:
            limits = _inner_radii(others, synthetic.kept)
            in_synthetic[id(others)] = _count(far.distances, far.real, real.kept, far.synthetic, limits)
        r = min(balls.radii.shape[1], others.radii.shape[1])
        found, recalled = in_real[id(balls)], in_synthetic[id(others)]
        scores[variant] = ManifoldScores(
            found.points[:r] / n_synthetic[:r], recalled.points[:r] / n_real[:r],
            found.pairs[:r] / (k * n_synthetic[:r]), found.balls[:r] / n_real[:r],
            real.points.n_units, synthetic.points.n_units,
        )  # fmt: skip
    return scores


def _inner_radii(balls: Neighbourhoods, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """``[R, n]`` squared radii, -1 for rows that a replicate leaves out.

    Only strictly smaller distances count; a copy of a neighbour lies at the radius itself but for rounding.
    """
    return np.where(kept[:, : balls.radii.shape[1]], balls.radii * (1 - TIE), -1.0).T.copy()


@dataclass(frozen=True, slots=True)
class _Counts:
    """In each replicate: pairs of a point inside a ball, points inside any ball, balls that hold any point."""

    pairs: NDArray[np.int64]
    points: NDArray[np.int64]
    balls: NDArray[np.int64]


def _count(
    distances: NDArray[np.float64], point: NDArray[np.int64], kept: NDArray[np.bool_], ball: NDArray[np.int64],
    limits: NDArray[np.float64],
) -> _Counts:  # fmt: skip
    """Count close pairs (``distances``, ``point``, ``ball``: ``[E]``) with squared radii ``limits`` ``[R, balls]``."""
    counts = _Counts(*(np.zeros(len(limits), np.int64) for _ in range(3)))
    for replicate, (present, limit) in enumerate(zip(kept.T.copy(), limits, strict=False)):
        inside = np.flatnonzero(distances < limit[ball])
        inside = inside[present[point[inside]]]
        counts.pairs[replicate] = len(inside)
        counts.points[replicate] = _distinct(point[inside], len(present))
        counts.balls[replicate] = _distinct(ball[inside], len(limit))
    return counts


def _distinct(index: NDArray[np.int64], size: int) -> int:
    seen = np.zeros(size, np.bool_)
    seen[index] = True
    return int(np.count_nonzero(seen))


def prdc(
    real: ArrayLike, synthetic: ArrayLike, *, k: int = 5, real_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None, variant: Variant = "patient-aware", replicates: int = 200, seed: int = 0,
) -> ManifoldScores:  # fmt: skip
    """Precision, recall, density and coverage of ``[n, d]`` and ``[m, d]`` floating point features.

    ``real_units``, ``synthetic_units``: patients of the rows (None: each row its own, and the variants agree). An
    error if k neighbours cannot be found.
    """
    centre = checked_features("real", real).mean(axis=0)
    sides = []
    for name, features, units in (("real", real, real_units), ("synthetic", synthetic, synthetic_units)):
        points = centred_points(name, features, units, centre)
        kept = half_samples(points.units, replicates, numpy_generator("half-samples", name, seed))
        sides.append(describe(points, kept, k))
    return manifold_scores(sides[1], sides[0], compare(sides[1], sides[0]), k)[variant]
