"""Curves of bootstrap replicates → :class:`MetricResult` rows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from synthassay.downstream.arms import Arm
from synthassay.downstream.bootstrap import Curve, interval
from synthassay.downstream.specs import DownstreamSpec
from synthassay.metrics.intervals import Interval, share_interval
from synthassay.records import MIN_PATIENTS_FOR_INFERENCE, Identity, MetricResult, Split, Status, identity
from synthassay.specs import canonical_json


class Subject(NamedTuple):
    """An arm and the set it was trained on ("" for the arms without one)."""

    arm: str
    generator: str


class Metric(NamedTuple):
    """``key`` is its name among the curves, ``name`` the one in results."""

    key: str
    name: str
    higher_is_better: bool | None


REAL, REAL_LONG, METADATA = Subject("real", ""), Subject("real-long", ""), Subject("metadata", "")
TRAINING_FIELDS = (
    "network", "steps", "both_factor", "real_share", "batch_size", "learning_rate", "weight_decay", "warmup",
    "augmentation", "checkpoint",
)  # fmt: skip
Curves = Mapping[Subject, Mapping[str, Curve]]


def metrics_of(spec: DownstreamSpec) -> tuple[Metric, ...]:
    """The metrics, named for ``spec.specificity``."""
    return (
        Metric("auroc", "auroc", True),
        Metric("average_precision", "average_precision", True),
        Metric("sensitivity", f"sensitivity_at_{100 * spec.specificity:g}_specificity", True),
        Metric("specificity", "specificity_at_threshold", None),
        Metric("ece", "ece", False),
    )


def contrasts(subjects: Sequence[Subject]) -> list[tuple[Subject, Subject]]:
    """The pairs to subtract, each against real images with as many steps; both of a pair are in ``subjects``."""
    pairs = [(s, REAL if s.arm == "synthetic" else REAL_LONG) for s in subjects if s.arm in ("synthetic", "both")]
    pairs += [(REAL_LONG, REAL), (REAL, METADATA)]
    return [pair for pair in pairs if pair[0] in subjects and pair[1] in subjects]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where rows are measured: the spec, a split, one group of its patients, and what is known of the arms there."""

    spec: DownstreamSpec
    split: Split
    group: str
    absent: str  # why the group has no value, or ""
    images: int
    patients: int
    patients_by_class: tuple[int, int]  # without, with the finding
    test_content: str
    arms: Mapping[Subject, Arm]
    seeds: Mapping[Subject, int]

    def identity(self, metric: Metric) -> Identity:
        """What must agree: the task, how classifiers are trained, and the test images; not the arm or the set."""
        spec = self.spec.to_key()
        parts: dict[str, object] = {name: _text(spec[name]) for name in TRAINING_FIELDS}
        parts |= {"metric": metric.name, "split": self.split, "group": self.group, "test": self.test_content}
        parts |= {"n_images": self.images, "n_patients": self.patients, "n_seeds": len(self.spec.seeds)}
        if metric.key in ("sensitivity", "specificity"):
            parts["specificity"] = self.spec.specificity
        if metric.key == "ece":
            parts["ece_bins"] = self.spec.ece_bins
        for arm in list(self.arms.values())[:1]:  # the same in every arm
            parts |= {"train": arm.train_content, "finding": _finding(arm)}
        return identity(**parts)


def _text(value: object) -> str:
    return canonical_json(value) if isinstance(value, dict) else str(value)


def _finding(arm: Arm) -> str:
    return f"{arm.positive} of {', '.join(arm.sources[0].label_names)}"


def value_row(metric: Metric, subject: Subject, curves: Curves, place: Place) -> MetricResult:
    """One metric of one arm; its floor is the real arm of as many steps."""
    row = _row(metric.name, metric, subject, place, subject.arm, (subject,))
    if subject not in curves or row.status == "absent":
        return row
    curve = curves[subject][metric.key]
    if not math.isfinite(curve[0]):
        return replace(row, status="absent", note=_joined(row.note, "no threshold: validation has no negative image"))
    real = {"synthetic": REAL, "both": REAL_LONG, "real-long": REAL}.get(subject.arm)
    floor: Estimate | None = None
    if real is not None and real in curves:
        floor = _estimate(curves[real][metric.key], _value_span(curves[real][metric.key], metric, place))
    return _filled(row, curve, _value_span(curve, metric, place), floor)


def difference_row(metric: Metric, pair: tuple[Subject, Subject], curves: Curves, place: Place) -> MetricResult:
    """``pair[0]`` − ``pair[1]`` on the same patients and seeds; its floor is real-long − real."""
    first, second = pair
    row = _row(f"{metric.name}_difference", metric, first, place, f"{first.arm} - {second.arm}", pair)
    if first not in curves or second not in curves or row.status == "absent":
        return row
    curve = curves[first][metric.key] - curves[second][metric.key]
    if not math.isfinite(curve[0]):
        return replace(row, status="absent", note=_joined(row.note, "no threshold: validation has no negative image"))
    span = _span(curve, metric, place)
    if span.low is not None and span.low == span.high:
        row = replace(row, note=_joined(row.note, "no resample differs: read the intervals of both values instead"))
    floor: Estimate | None = None
    if first.arm in ("synthetic", "both") and REAL in curves and REAL_LONG in curves:
        longer = curves[REAL_LONG][metric.key] - curves[REAL][metric.key]
        floor = _estimate(longer, _span(longer, metric, place))
    return _filled(row, curve, span, floor)


def _row(
    name: str, metric: Metric, subject: Subject, place: Place, variant: str, involved: Sequence[Subject]
) -> MetricResult:
    """Everything but the numbers; a status other than ok or descriptive when there can be none."""
    arm = place.arms.get(subject)
    reasons = [place.arms[s].reason for s in involved if s in place.arms and place.arms[s].reason]
    caveats = [place.arms[s].caveat for s in involved if s in place.arms and place.arms[s].caveat]
    status: Status = "descriptive" if place.patients < MIN_PATIENTS_FOR_INFERENCE else "ok"
    if reasons or caveats:
        status = "insufficient evidence"
    if place.absent:
        status = "absent"
    seed_note = "" if reasons else _seed_note(involved, place)
    note = place.absent or _joined(*dict.fromkeys([*reasons, *caveats]), seed_note)
    return MetricResult(
        family="downstream", metric=name, generator=subject.generator or "real", variant=variant,
        reference=place.split, group=place.group, unit="1", n_real=place.images,
        n_synthetic=arm.count(real=False) if arm else 0, n_patients=place.patients,
        identity=place.identity(metric), higher_is_better=metric.higher_is_better, status=status, note=note,
    )  # fmt: skip


Estimate = tuple[float, float | None, float | None]


def _span(curve: Curve, metric: Metric, place: Place) -> Interval:
    return interval(curve, place.patients, place.spec.intervals.confidence, centred=metric.key == "ece")


def _value_span(curve: Curve, metric: Metric, place: Place) -> Interval:
    """The interval of a value in [0, 1]; where all patients agree on 0 or 1 it keeps a width."""
    span = _span(curve, metric, place).clipped(0.0, 1.0)
    if metric.key == "ece" or not math.isfinite(curve[0]):
        return span
    without, having = place.patients_by_class
    limiting = {"sensitivity": having, "specificity": without}.get(metric.key, min(without, having))
    return share_interval(float(curve[0]), span, limiting, place.spec.intervals.confidence)


def _estimate(curve: Curve, span: Interval) -> Estimate | None:
    return (float(curve[0]), span.low, span.high) if math.isfinite(curve[0]) else None


def _filled(row: MetricResult, curve: Curve, span: Interval, floor: Estimate | None) -> MetricResult:
    value, low, high = floor or (None, None, None)
    numbers: dict[str, Any] = {"value": float(curve[0]), "ci_low": span.low, "ci_high": span.high}
    return replace(row, **numbers, ci_method=span.method, floor=value, floor_ci_low=low, floor_ci_high=high,
                   note=_joined(row.note, span.note))  # fmt: skip


def _seed_note(involved: Sequence[Subject], place: Place) -> str:
    trained = [subject for subject in involved if subject.arm != "metadata"]  # a fit without random numbers
    if all(place.seeds.get(subject) != 1 for subject in trained):
        return ""
    return "one training seed: the interval leaves out how trainings differ"


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
