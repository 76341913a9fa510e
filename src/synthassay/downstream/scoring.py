"""Predictions → results: each arm per group, and the paired differences that answer the question."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthassay.downstream.arms import Arm
from synthassay.downstream.bootstrap import Curve, mean_over_seeds, patient_weights, weighted_metrics
from synthassay.downstream.results import Place, Subject, contrasts, difference_row, metrics_of, value_row
from synthassay.downstream.specs import DownstreamSpec
from synthassay.metrics.intervals import unit_codes
from synthassay.records import MISSING, UNLABELLED, ImageSet, MetricResult, Predictions, Split, content_digest
from synthassay.seeding import numpy_generator


def score_downstream(
    predictions: Sequence[Predictions],
    spec: DownstreamSpec,
    *,
    seed: int,
    arms: Sequence[Arm] = (),
    tests: Mapping[Split, ImageSet] | None = None,
) -> list[MetricResult]:
    """Every metric of every arm, and every difference between arms, per test split and group.

    Metrics: ``auroc``, ``average_precision``, ``sensitivity_at_90_specificity`` (threshold fixed on validation), the
    ``specificity_at_threshold`` that it really had, and ``ece``; averaged over training seeds. Differences are named
    ``<metric>_difference`` with variant ``"synthetic - real"``, ``"both - real-long"``, ``"real-long - real"`` or
    ``"real - metadata"``. ``reference`` is the split, ``group`` is ``"all"`` or ``"site=..."`` and so on for
    ``spec.group_by``. All arms share one set of bootstrap replicates per group, so differences are paired by patient.

    ``floor``, of a synthetic or both arm, is the real arm of as many steps; of a difference, it is real-long - real:
    what longer training alone changes. ``arms`` (as planned) add the counts of training images, caveats, and rows that
    say why an arm could not be trained; ``tests`` add the content ids that the identity holds. Raises ``ValueError``
    if the predictions of one split are not on the same images.
    """
    results: list[MetricResult] = []
    for split in sorted({p.split for p in predictions}):
        board = _Board(split, [p for p in predictions if p.split == split], arms, (tests or {}).get(split), spec)
        for group, rows in board.groups():
            results += board.results(group, rows, seed)
    return results or _nothing_trained(spec, arms, tests or {})


def _nothing_trained(spec: DownstreamSpec, arms: Sequence[Arm], tests: Mapping[Split, ImageSet]) -> list[MetricResult]:
    """Rows that say why there is no prediction at all; empty if no arm has a reason."""
    results: list[MetricResult] = []
    for split in sorted(tests) if any(arm.reason for arm in arms) else []:
        images = tests[split].take(tests[split].labels != UNLABELLED)
        truth = np.asarray(images.labels == arms[0].positive, np.int64)
        scores = np.zeros(len(images), np.float32)  # never looked at: the arm is one of those without a training
        table = Predictions(arm=arms[0].name, generator=arms[0].generator, seed=0, split=split, ids=images.ids,
                            patients=images.patients, scores=scores, labels=truth)  # fmt: skip
        results += _Board(split, [table], arms, images, spec).results("all", np.arange(len(images)), 0)
    return results


@dataclass(frozen=True)
class _Board:
    """All predictions on one split, each on the same images."""

    split: Split
    predictions: Sequence[Predictions]
    planned: Sequence[Arm]
    images: ImageSet | None
    spec: DownstreamSpec

    def __post_init__(self) -> None:
        for other in self.predictions[1:]:
            if not (np.array_equal(self.table.ids, other.ids) and np.array_equal(self.table.labels, other.labels)):
                raise ValueError(f"arms {self.table.arm} and {other.arm} were scored on other images of {self.split}")

    @property
    def table(self) -> Predictions:
        return self.predictions[0]

    def groups(self) -> Iterator[tuple[str, NDArray[np.int64]]]:
        """Name and rows of each group: all, then each value of each column in ``group_by``."""
        everything = np.arange(len(self.table.labels))
        yield "all", everything
        for column in self.spec.group_by:
            values = self.table.groups.get(column, np.full(len(everything), MISSING))
            for value in np.unique(values[values != MISSING]).tolist():
                yield f"{column}={value}", np.flatnonzero(values == value)

    def results(self, group: str, rows: NDArray[np.int64], seed: int) -> Iterator[MetricResult]:
        """Rows of one group: values of each arm, then differences, metric by metric."""
        untrained = [Subject(arm.name, arm.generator) for arm in self.planned if arm.reason]
        trained = {s: seeds for s, seeds in _by_subject(self.predictions).items() if s not in untrained}
        subjects = [*trained, *untrained]
        place = self._place(group, rows, {subject: len(seeds) for subject, seeds in trained.items()})
        curves = {} if place.absent else self._curves(trained, group, rows, seed)
        for metric in metrics_of(self.spec):
            for subject in subjects:
                yield value_row(metric, subject, curves, place)
            for pair in contrasts(subjects):
                yield difference_row(metric, pair, curves, place)

    def _curves(
        self, trained: Mapping[Subject, Sequence[Predictions]], group: str, rows: NDArray[np.int64], seed: int
    ) -> dict[Subject, dict[str, Curve]]:
        # Draws are named by split and group alone: another arm or set leaves every other interval as it was.
        name = ("downstream", "bootstrap", seed, self.split, group)
        weights = patient_weights(self.table.patients[rows], self.spec.intervals.replicates, numpy_generator(*name))
        curves = {}
        for subject, by_seed in trained.items():
            per_seed = [
                weighted_metrics(p.scores[rows], p.labels[rows], weights, p.threshold, self.spec.ece_bins)
                for p in by_seed
            ]
            curves[subject] = mean_over_seeds(per_seed, numpy_generator(*name, "training seeds"))
        return curves

    def _place(self, group: str, rows: NDArray[np.int64], seeds: Mapping[Subject, int]) -> Place:
        patients, labels = self.table.patients[rows], self.table.labels[rows]
        by_class = len(np.unique(patients[labels == 0])), len(np.unique(patients[labels == 1]))
        count = len(np.unique(patients))
        return Place(
            spec=self.spec, split=self.split, group=group, absent=self._too_small(count, by_class), images=len(rows),
            patients=count, patients_by_class=by_class, test_content=self._content(), seeds=seeds,
            arms={Subject(arm.name, arm.generator): arm for arm in self.planned},
        )  # fmt: skip

    def _too_small(self, patients: int, by_class: tuple[int, int]) -> str:
        limits = self.spec.intervals
        if not patients:
            return "no image has a label"
        if patients < limits.min_patients:
            return f"{patients} patients, fewer than {limits.min_patients}"
        for holders, what in zip(by_class, ("without", "with"), strict=True):
            if holders < limits.min_patients_per_class:
                return (
                    f"{holders} patients with an image {what} the finding, fewer than {limits.min_patients_per_class}"
                )
        return ""

    def _content(self) -> str:
        """Content id of the test images, else a digest of their table; neither depends on the pseudonym key."""
        if self.images is not None:
            return self.images.content_id
        columns = [self.table.groups[name] for name in sorted(self.table.groups)]
        return content_digest(self.table.labels, unit_codes(self.table.patients), *columns)


def _by_subject(predictions: Sequence[Predictions]) -> dict[Subject, list[Predictions]]:
    """Predictions of each arm, ordered by seed."""
    subjects: dict[Subject, list[Predictions]] = {}
    for prediction in sorted(predictions, key=lambda p: p.seed):
        subjects.setdefault(Subject(prediction.arm, prediction.generator), []).append(prediction)
    return subjects
