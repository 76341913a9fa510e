"""Fidelity of a set under test: every metric, variant, reference and group, with intervals and floors.

The headline compares with held-out test patients; the comparison with generator-train rewards copying and stands
beside it. An interval is for the value expected at these counts with the generator fixed. Beside each value stands the
floor: real control images of the same number against the same reference. A group that is too small is absent, never 0;
an absent group has one row for each metric, under the patient-aware variant.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synthassay.metrics.cache import PreparedSet, ReferenceCache, steps_of
from synthassay.metrics.catalogue import ALSO_TEST, METRICS, TEST, TRAIN, asked, definition
from synthassay.metrics.closeness import UNKNOWN_TRAINING, closeness_result
from synthassay.metrics.estimates import Estimate, Estimates, most_neighbours
from synthassay.metrics.groups import ALL, Group, column_of
from synthassay.metrics.measured_coverage import coverage_note
from synthassay.metrics.neighbours import SetDescription, Variant, enough_neighbours
from synthassay.metrics.specs import FidelitySpec
from synthassay.records import (
    MIN_PATIENTS_FOR_INFERENCE,
    FeatureSet,
    MetricResult,
    Progress,
    SilentProgress,
    Status,
    identity,
)

REWARDS_COPYING = "against images that were trained on: rewards copying"
UNKNOWN_TEST = "it is not known whether test patients were trained on"


def score_fidelity(
    subject: FeatureSet, *, test: FeatureSet, control: FeatureSet, train: FeatureSet | None, spec: FidelitySpec,
    seed: int, cache: ReferenceCache | None = None, progress: Progress | None = None,
) -> list[MetricResult]:  # fmt: skip
    """All fidelity results of ``subject``, and ``closer_to_train``.

    ``test``, ``control`` and ``train`` are real images of disjoint patients; ``train`` is None where it is not known
    who was trained on. ``subject`` and ``control`` are cut to the same number of images by a seeded order of whole
    patients, in each group anew. ``cache`` saves work between sets and must have been made of the same objects.
    ``progress`` hears of every group, reference and set-level metric (None: nobody does).
    """
    shared = cache or ReferenceCache(test=test, control=control, train=train, spec=spec, seed=seed)
    if not shared.serves(test, control, train) or (shared.spec, shared.seed) != (spec, seed):
        raise ValueError("the reference cache was made for other sets, settings or another seed")
    scorer = _Scorer(shared, shared.prepare(subject), progress or SilentProgress())
    results = [row for reference in (TEST, TRAIN) for row in scorer.against(reference)]
    scorer.steps.part(1)
    results.append(closeness_result(scorer.subject, shared))
    scorer.steps.finish()
    return results


def closer_to_train(
    subject: FeatureSet, *, test: FeatureSet, control: FeatureSet, train: FeatureSet | None, spec: FidelitySpec,
    seed: int,
) -> list[MetricResult]:  # fmt: skip
    """Whether ``subject`` is closer to generator-train than new patients are; see :mod:`.closeness`.

    The same row that :func:`score_fidelity` gives last.
    """
    shared = ReferenceCache(test=test, control=control, train=train, spec=spec, seed=seed)
    return [closeness_result(shared.prepare(subject), shared)]


@dataclass(frozen=True, slots=True)
class _Selection:
    """The images of one comparison, or why there is none."""

    rows: NDArray[np.int64]
    reason: str = ""
    floor_note: str = ""


class _Steps:
    """Progress over parts of at most so many steps each; what a part turns out not to need is caught up on."""

    def __init__(self, progress: Progress, what: str, total: int) -> None:
        self.progress, self._left = progress, 0
        progress.start(what, total)

    def part(self, steps: int) -> None:
        """Begin the next part."""
        self.progress.advance(self._left)
        self._left = steps

    def step(self) -> None:
        """One step of the part is done."""
        self._left -= 1
        self.progress.advance()

    def finish(self) -> None:
        """End the last part."""
        self.part(0)
        self.progress.finish()


class _Scorer:
    def __init__(self, shared: ReferenceCache, subject: PreparedSet, progress: Progress) -> None:
        self.shared, self.subject, self.spec = shared, subject, shared.spec
        self._descriptions: dict[tuple[Group, int], SetDescription] = {}
        total = sum(self._size(reference, group) for reference in shared.references for group in shared.groups)
        self.steps = _Steps(progress, f"score {subject.features.name}", total + 1)  # closeness is one

    def _size(self, reference: str, group: Group) -> int:
        """Steps of a group against a reference: of the set, and of its floor."""
        return 2 * steps_of(asked(self.shared.encoder, reference, group, self.spec))

    def against(self, reference: str) -> Iterator[MetricResult]:
        if reference not in self.shared.references:
            yield from self._absent(reference, ALL, UNKNOWN_TRAINING, "insufficient evidence")
            return
        missing = self._missing_columns()
        for column in missing:
            yield from self._absent(reference, Group(column, "*"), f"the set carries no {column}")
        for group in self.shared.groups:
            self.steps.part(self._size(reference, group))
            if group.column not in missing:
                yield from self._group(reference, group)

    def _missing_columns(self) -> list[str]:
        columns = dict.fromkeys(group.column for group in self.shared.groups if group.column)
        return [column for column in columns if column_of(self.subject.features, column) is None]

    def _group(self, reference: str, group: Group) -> Iterator[MetricResult]:
        selection = self._select(reference, group)
        if selection.reason:
            yield from self._absent(reference, group, selection.reason)
            return
        n = len(selection.rows)
        if (group, n) not in self._descriptions:
            description = self.shared.described(self.subject, selection.rows, "synthetic", group)
            self._descriptions[group, n] = description
        synthetic, real = self._descriptions[group, n], self.shared.real(reference, group)
        step, floors = self.steps.step, Estimates()
        found = self.shared.estimates(synthetic, real, reference, group, step)
        if not selection.floor_note:
            floors = self.shared.floor(reference, group, n, step)
        without = selection.floor_note
        if not floors and not without:
            without = f"no floor: {n} control images, cut to the set's number, are of too few patients"
        for (metric, variant), estimate in found.items():
            base = self._row(reference, group.text, metric, variant, (len(real.points), n))
            notes = (without, self._coverage(metric, variant, estimate),
                     REWARDS_COPYING if reference == TRAIN else self._test_note())  # fmt: skip
            yield _filled(base, estimate, floors.get((metric, variant)), notes, self.spec.confidence)

    def _coverage(self, metric: str, variant: Variant, estimate: Estimate) -> str:
        """What must be said about how often this interval covers."""
        if estimate.interval.low is None:
            return ""
        return coverage_note(metric, variant, estimate.units, self.spec.confidence)

    def _test_note(self) -> str:
        """Patients of unknown training may include those of test, which would flatter the set."""
        return "" if TRAIN in self.shared.references else UNKNOWN_TEST

    def _select(self, reference: str, group: Group) -> _Selection:
        spec, item, nobody = self.spec, self.shared.references[reference], np.zeros(0, np.int64)
        needed = most_neighbours(spec)
        real, rows = item.rows(group), self.subject.rows(group)
        images, patients = item.counts(real)
        if images < spec.min_group_images or patients < spec.min_group_patients:
            return _Selection(nobody, f"{images} real images of {patients} patients; at least {spec.min_group_images} "
                                      f"of {spec.min_group_patients} are needed")  # fmt: skip
        if len(rows) < spec.min_group_images:
            return _Selection(nobody, f"{len(rows)} images of the set; at least {spec.min_group_images} are needed")
        control = self.shared.control_rows(group)
        n = len(rows) if control is None else min(len(rows), len(control))
        rows = self.subject.matched(rows, n, "fidelity", "subject", self.shared.seed, group.text)
        for name, points in (("real", item.points.take(real)), ("synthetic", self.subject.points.take(rows))):
            if not enough_neighbours(points, needed):
                return _Selection(nobody, f"{len(points)} {name} images of {points.n_units} patients: some have fewer "
                                          f"than {needed} neighbours of other patients")  # fmt: skip
        if control is None:
            images, patients = self.shared.control.counts(self.shared.control.rows(group))
            return _Selection(rows, "", f"no floor: {images} control images of {patients} patients are too few")
        return _Selection(rows)

    def _absent(self, reference: str, group: Group, reason: str, status: Status = "absent") -> Iterator[MetricResult]:
        for metric, variant in asked(self.shared.encoder, reference, group, self.spec):
            if variant == "patient-aware":
                row = self._row(reference, group.text, metric, variant, (0, 0))
                yield replace(row, status=status, note=reason)

    def _row(
        self, reference: str, group: str, metric: str, variant: Variant, counts: tuple[int, int]
    ) -> MetricResult:  # fmt: skip
        """A result without its value; ``counts`` are the real and the synthetic images."""
        shared = self.shared
        what = identity(
            metric=metric, variant=variant, definition=definition(metric, self.spec.k, *counts), group=group,
            encoder=shared.encoder, **{f"encoder.{name}": text for name, text in shared.encoder_identity},
            reference=reference, reference_content=shared.content.get(reference, "unknown"),
            n_real=counts[0], n_synthetic=counts[1],
            **({"test_content": shared.content[TEST]} if metric in ALSO_TEST else {}),
        )  # fmt: skip
        return MetricResult(
            family="fidelity", metric=metric, generator=self.subject.features.name, encoder=shared.encoder,
            variant=variant, reference=reference, group=group, unit=METRICS[metric].unit, n_real=counts[0],
            n_synthetic=counts[1], higher_is_better=METRICS[metric].higher_is_better, seed=shared.seed, identity=what,
        )  # fmt: skip


def _filled(
    row: MetricResult, estimate: Estimate, floor: Estimate | None, notes: Iterable[str], confidence: float
) -> MetricResult:  # fmt: skip
    """``row`` with a value, its interval, its floor and its notes."""
    interval = estimate.interval
    if estimate.value is None:
        return replace(row, status="absent", note=interval.note)
    descriptive = estimate.units < MIN_PATIENTS_FOR_INFERENCE
    if floor and not descriptive and floor.units < MIN_PATIENTS_FOR_INFERENCE:
        notes = (*notes, f"the floor is descriptive: it rests on {floor.units} patients")
    return replace(
        row, value=estimate.value, ci_low=interval.low, ci_high=interval.high,
        ci_method=f"{100 * confidence:g}%, {interval.method}" if interval.method else "",
        n_patients=estimate.units, resampling_unit=estimate.unit, status="descriptive" if descriptive else "ok",
        note="; ".join(note for note in (interval.note, estimate.note, *notes) if note),
        floor=floor.value if floor else None, floor_ci_low=floor.interval.low if floor else None,
        floor_ci_high=floor.interval.high if floor else None,
    )  # fmt: skip
