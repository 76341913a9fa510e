"""The core of fidelity: every metric that one visit of the features gives, each with its interval."""

from dataclasses import dataclass
from typing import Literal

from synthassay.metrics.authenticity import authenticity_from
from synthassay.metrics.frechet import frechet_from_moments
from synthassay.metrics.intervals import Interval
from synthassay.metrics.kid import kernel_distance
from synthassay.metrics.neighbours import VARIANTS, Comparison, Convention, SetDescription, Variant, compare
from synthassay.metrics.prdc import SCORES, manifold_scores
from synthassay.metrics.specs import FidelitySpec
from synthassay.team import ALONE, Team

IMPROVED = Convention(3, strict=False)  # Kynkäänniemi et al. 2019, as torch-fidelity computes it


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, its interval, and the number and kind of resampling units of the side that limits it.

    ``value`` is None where there is none; the interval then says why. ``note``: what else a reader must know.
    """

    value: float | None
    interval: Interval
    units: int
    unit: Literal["patient", "image"] = "patient"
    note: str = ""


Estimates = dict[tuple[str, Variant], Estimate]


def conventions(spec: FidelitySpec) -> tuple[Convention, ...]:
    """The neighbourhoods that are counted: prdc's, and those of improved precision and recall."""
    return Convention(spec.k), IMPROVED


def most_neighbours(spec: FidelitySpec) -> int:
    """The largest k of any convention."""
    return max(convention.k for convention in conventions(spec))


def core_estimates(
    synthetic: SetDescription, real: SetDescription, spec: FidelitySpec, frechet: str, *, trained_on: bool,
    team: Team = ALONE,
) -> Estimates:  # fmt: skip
    """The core; ``real`` is what was trained on if ``trained_on``. ``frechet``: what the Fréchet distance is called."""
    comparison = compare(synthetic, real, conventions(spec), team)
    units = min(synthetic.points.n_units, real.points.n_units)
    distance = frechet_from_moments(real.moments, synthetic.moments)
    found: Estimates = {(frechet, "patient-aware"): Estimate(distance.value, distance.interval(spec.confidence), units)}
    found |= _manifold(synthetic, real, comparison, spec, units)
    for variant in VARIANTS:
        kernel = kernel_distance(
            synthetic.kernel, real.kernel, comparison.kernel, patient_aware=variant == "patient-aware"
        )
        found["kid", variant] = Estimate(kernel.value, kernel.interval(spec.confidence), units)
        if trained_on:
            found["authenticity", variant] = _authenticity(synthetic, real, comparison, spec, variant)
    return found


def _manifold(
    synthetic: SetDescription, real: SetDescription, comparison: Comparison, spec: FidelitySpec, units: int
) -> Estimates:  # fmt: skip
    found: Estimates = {}
    for convention, scores, suffix in (
        (Convention(spec.k), SCORES, ""), (IMPROVED, ("precision", "recall"), f"_k{IMPROVED.k}"),
    ):  # fmt: skip
        for variant, values in manifold_scores(synthetic, real, comparison, convention).items():
            for score in scores:
                interval = values.interval(score, spec.confidence)
                found[score + suffix, variant] = Estimate(values.value(score), interval, units)
    return found


def _authenticity(
    synthetic: SetDescription, real: SetDescription, comparison: Comparison, spec: FidelitySpec, variant: Variant
) -> Estimate:
    units = synthetic.points.units
    share = authenticity_from(units, comparison.nearest, comparison.distances, real.hoods[variant])
    unit: Literal["patient", "image"] = "patient" if synthetic.points.clustered else "image"
    return Estimate(share.value, share.interval(spec.confidence), synthetic.points.n_units, unit)
