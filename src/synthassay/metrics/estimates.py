"""Every fidelity metric of one synthetic set against one real set, each with its interval."""

from dataclasses import dataclass
from typing import Literal

from synthassay.metrics.authenticity import authenticity_from
from synthassay.metrics.frechet import frechet_from_moments
from synthassay.metrics.intervals import Interval
from synthassay.metrics.kid import kernel_distance
from synthassay.metrics.neighbours import VARIANTS, Convention, SetDescription, Variant, compare
from synthassay.metrics.prdc import SCORES, manifold_scores
from synthassay.metrics.specs import FidelitySpec
from synthassay.metrics.team import ALONE, Team

FRECHET = "frechet_distance"
HIGHER_IS_BETTER: dict[str, bool | None] = {
    FRECHET: False, "fid": False, "kid": False, "precision": True, "recall": True, "density": True, "coverage": True,
    "authenticity": None,
}  # fmt: skip
UNITS = {FRECHET: "squared feature distance", "fid": "squared feature distance"}
DEFINITIONS = {
    FRECHET: "Gaussian, covariance with n-1", "fid": "Gaussian, covariance with n-1",
    "kid": "(x·y/d+1)^3, unbiased, all pairs", "precision": "k={k}, strict <", "recall": "k={k}, strict <",
    "density": "k={k}, strict <", "coverage": "k={k}, strict <", "authenticity": "d(r,NN_train\\r) < d(g,r)",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, its interval, and the number and kind of resampling units of the side that limits it."""

    value: float
    interval: Interval
    units: int
    unit: Literal["patient", "image"] = "patient"


Estimates = dict[tuple[str, Variant], Estimate]


def metric_names(encoder: str, *, trained_on: bool) -> list[tuple[str, Variant]]:
    """(metric, variant) of every value against one reference; authenticity only against what was trained on.

    The Fréchet distance has one definition; it stands under the patient-aware variant, as its interval is by patient.
    """
    frechet: tuple[str, Variant] = ("fid" if encoder == "fid-inception" else FRECHET, "patient-aware")
    both = ("kid", *SCORES, "authenticity") if trained_on else ("kid", *SCORES)
    return [frechet, *((name, variant) for variant in VARIANTS for name in both)]


def estimate_all(
    synthetic: SetDescription, real: SetDescription, spec: FidelitySpec, encoder: str, *, trained_on: bool,
    team: Team = ALONE,
) -> Estimates:  # fmt: skip
    """The estimates named by :func:`metric_names`; ``real`` is what was trained on if ``trained_on``."""
    convention = Convention(spec.k)
    comparison = compare(synthetic, real, (convention,), team)
    units = min(synthetic.points.n_units, real.points.n_units)
    frechet = frechet_from_moments(real.moments, synthetic.moments)
    name = metric_names(encoder, trained_on=False)[0]
    found: Estimates = {name: Estimate(frechet.value, frechet.interval(spec.confidence), units)}
    scores = manifold_scores(synthetic, real, comparison, convention)
    for variant in VARIANTS:
        distance = kernel_distance(
            synthetic.kernel, real.kernel, comparison.kernel, patient_aware=variant == "patient-aware"
        )
        found["kid", variant] = Estimate(distance.value, distance.interval(spec.confidence), units)
        for score in SCORES:
            value, interval = scores[variant].value(score), scores[variant].interval(score, spec.confidence)
            found[score, variant] = Estimate(value, interval, units)
        if trained_on:
            share = authenticity_from(
                synthetic.points.units, comparison.nearest, comparison.distances, real.hoods[variant]
            )
            found["authenticity", variant] = Estimate(
                share.value, share.interval(spec.confidence), synthetic.points.n_units,
                "patient" if synthetic.points.clustered else "image",
            )  # fmt: skip
    return found
