"""Does a set copy training patients? Copies per 1,000 images, patients affected and a verdict, beside their controls.

Units. The flagged rate is that of *this* generator: its images are independent draws, so each is a unit (as the
``patients`` column says), and a set made from real images is resampled by patient. A second interval (variant
``"by copied patient"``) resamples training patients with all images that are nearest to them: it is wider where the
copies fall on a few patients. The verdict uses the first, for one patient copied fifty times must not be excused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthassay.privacy.copies import CopyScores
from synthassay.privacy.detector import Calibration, Detector, References, calibrate
from synthassay.privacy.rates import Rate, clustered_rate, copied_share
from synthassay.privacy.rows import Evidence, missing_rows, rows_of, verdict_row
from synthassay.privacy.spaces import Space
from synthassay.privacy.specs import MemorisationSpec
from synthassay.records import MetricResult
from synthassay.seeding import numpy_generator

Spaces = Space | Sequence[Space]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorisationOutcome:
    """What was found in one set. The columns are ``[n]``, in the order of the set; empty where nothing was assessed.

    ``scores``: the copy ratio (lower is more alike) in the space of ``spaces`` that alarmed most. ``rows``: the row of
    the nearest training image, ``flipped``: whether it matched as its mirror image. ``judged`` is False for images of
    control A's patients: they set the threshold, so they are never ``flagged`` and no rate counts them.
    """

    results: list[MetricResult]
    flagged: NDArray[np.bool_]
    scores: NDArray[np.float64]
    rows: NDArray[np.int64]
    flipped: NDArray[np.bool_]
    spaces: NDArray[np.str_]
    judged: NDArray[np.bool_]


def assess_memorisation(
    subject: Spaces,
    train: Spaces | None,
    mirrored_train: Spaces | None,
    control_a: Spaces,
    control_b: Spaces,
    panel: Mapping[str, Spaces],
    spec: MemorisationSpec,
    seed: int,
) -> MemorisationOutcome:
    """Assess one set in one space, or in several where each argument is a sequence of spaces in the same order.

    ``subject.name`` names the set in the results. ``train`` is ``None`` where it is not known who was trained on:
    every row then says "insufficient evidence" and why. ``mirrored_train`` is ``None`` to search no mirror images.
    For many sets, :func:`~synthassay.privacy.detector.calibrate` once and :func:`assess` each.
    """
    names = list(panel)
    sides = [control_a, control_b, *panel.values()]
    if train is not None:
        sides += [train] if mirrored_train is None else [train, mirrored_train]
    references = []
    for a, b, *others in zip(*(_each(side) for side in sides), strict=True):
        planted = dict(zip(names, others, strict=False))
        known: list[Space | None] = [*others[len(names) :], None, None]
        references.append(References(train=known[0], mirrored_train=known[1], control_a=a, control_b=b, panel=planted))
    return assess(calibrate(references, spec, seed), _each(subject), seed)


def _each(spaces: Spaces) -> tuple[Space, ...]:
    return (spaces,) if isinstance(spaces, Space) else tuple(spaces)


def assess(calibration: Calibration, subject: Sequence[Space], seed: int) -> MemorisationOutcome:
    """Assess one set, given in every space of ``calibration`` in the same order.

    Rows are given for each space and, with several spaces, for all of them jointly; the last is the headline and has
    the verdict. The joint detector takes the most alarming space at one rate of false alarms. ``seed`` drives the
    bootstraps. Raises ``ValueError`` where the spaces do not match the calibration.
    """
    if tuple(space.encoder for space in subject) != calibration.encoders:
        raise ValueError(f"the set is in {[s.encoder for s in subject]}, the detector in {list(calibration.encoders)}")
    first = subject[0]
    judged = ~np.isin(first.patients, calibration.control_a_patients)
    reason = calibration.missing
    if not reason and not judged.any():
        reason = "every image of the set is of a control A patient, and these set the threshold"
    if reason:
        return _without_answer(calibration, first, reason)
    ratios = [
        index.score(space, calibration.spec.neighbours)
        for index, space in zip(calibration.indices, subject, strict=True)
    ]
    results: list[MetricResult] = []
    for detector in calibration.detectors:
        scores = detector.combination.of(ratios)
        evidence = _evidence(calibration, detector, scores, first, judged, seed)
        results += rows_of(evidence)
    return MemorisationOutcome(
        results=[*results, verdict_row(evidence)],
        flagged=detector.flags(scores) & judged,
        scores=scores.ratios,
        rows=scores.rows,
        flipped=scores.mirrored,
        spaces=np.array(calibration.encoders)[scores.members],
        judged=judged,
    )


def _without_answer(calibration: Calibration, subject: Space, reason: str) -> MemorisationOutcome:
    return MemorisationOutcome(
        results=missing_rows(calibration, subject.name, len(subject), reason),
        flagged=np.empty(0, np.bool_),
        scores=np.empty(0),
        rows=np.empty(0, np.int64),
        flipped=np.empty(0, np.bool_),
        spaces=np.empty(0, np.str_),
        judged=np.empty(0, np.bool_),
    )


def _evidence(
    calibration: Calibration, detector: Detector, scores: CopyScores, subject: Space, judged: NDArray[np.bool_],
    seed: int,
) -> Evidence:  # fmt: skip
    """The rates of one set under one detector. Only judged images count."""
    replicates = calibration.spec.replicates
    rng = numpy_generator("memorisation", "subject", detector.encoder, subject.name, seed)
    flags, copied = detector.flags(scores)[judged], scores.train_patients[judged]
    flagged = clustered_rate(flags, subject.patients[judged], rng, replicates)
    by_copied = clustered_rate(flags, copied, rng, replicates)
    recalls: list[Rate] = list(detector.recalls.values())
    share = copied_share(flagged, detector.false_alarms, recalls, rng, replicates)
    return Evidence(
        calibration=calibration,
        detector=detector,
        name=subject.name,
        n=len(subject),
        flagged=flagged,
        by_copied_patient=by_copied,
        affected=len(np.unique(copied[flags])),
        # Images of control A were left out; their patients were never trained on, so they are no copies of train.
        share=None if share is None else tuple(part * float(judged.mean()) for part in share),
    )
