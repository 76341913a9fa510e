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

from synthassay.metrics.halfsampling import half_sample_interval
from synthassay.metrics.intervals import CONFIDENCE, Interval, no_interval
from synthassay.metrics.neighbours import (
    VARIANTS,
    Comparison,
    Convention,
    SetDescription,
    Variant,
    compare,
    describe,
)
from synthassay.metrics.points import Features, centred_points, mean_of
from synthassay.metrics.split_halves import complementary_halves, split_half_interval
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
        units = min(self.real_units, self.synthetic_units)
        if score != "density":
            return split_half_interval(value, draws, units, confidence)
        if value == 0.0:
            return no_interval("no synthetic image lies in a real neighbourhood, so the spread is unknown")
        return half_sample_interval(value, draws, units, confidence).clipped(0.0, math.inf)


def manifold_scores(
    synthetic: SetDescription, real: SetDescription, comparison: Comparison, convention: Convention
) -> dict[Variant, ManifoldScores]:
    """The four scores of each variant, in the whole sets and in each half-sample that both sides describe."""
    scores: dict[Variant, ManifoldScores] = {}
    for variant in VARIANTS:
        found = comparison.in_real[variant, convention]
        hits, balls = found.by_point, found.by_ball
        recalled = comparison.in_synthetic[variant, convention].by_point
        n_real, n_synthetic = (side.kept[:, : hits.shape[1]].sum(dim=0).double() for side in (real, synthetic))
        shares = (
            (hits > 0).sum(dim=0) / n_synthetic, (recalled > 0).sum(dim=0) / n_real,
            hits.sum(dim=0) / (convention.k * n_synthetic), (balls > 0).sum(dim=0) / n_real,
        )  # fmt: skip
        precision, recall, density, coverage = (np.asarray(share.cpu().numpy(), np.float64) for share in shares)
        scores[variant] = ManifoldScores(
            precision, recall, density, coverage, real.points.n_units, synthetic.points.n_units
        )
    return scores


def prdc(
    real: Features, synthetic: Features, *, k: int = 5, strict: bool = True, real_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None, variant: Variant = "patient-aware", replicates: int = 200, seed: int = 0,
) -> ManifoldScores:  # fmt: skip
    """Precision, recall, density and coverage of ``[n, d]`` and ``[m, d]`` floating point features.

    ``real_units``, ``synthetic_units``: patients of the rows (None: each row its own, and the variants agree). An
    error if k neighbours cannot be found.
    """
    centre, convention = mean_of("real", real), Convention(k, strict)
    sides = []
    for name, features, units in (("real", real, real_units), ("synthetic", synthetic, synthetic_units)):
        points = centred_points(name, features, units, centre)
        kept = complementary_halves(points.units, replicates, numpy_generator("half-samples", name, seed))
        sides.append(describe(points, kept, k))
    comparison = compare(sides[1], sides[0], (convention,))
    return manifold_scores(sides[1], sides[0], comparison, convention)[variant]
