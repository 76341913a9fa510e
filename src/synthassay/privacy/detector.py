"""A copy detector and what is known about it before it sees a synthetic set: threshold, false alarms, recall."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthassay.privacy.copies import CopyScores, Scale, TrainIndex, joint_scores, threshold_below
from synthassay.privacy.rates import Rate, clustered_rate, recall_by_patient
from synthassay.privacy.spaces import Space
from synthassay.privacy.specs import MemorisationSpec
from synthassay.records import Identity, identity
from synthassay.seeding import numpy_generator

UNKNOWN_TRAIN = (
    "it is not known which patients the generator was trained on; an external set names them with generator.trained_on"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """The real images of one space, and the planted copies, that a detector is made from.

    ``mirrored_train`` holds the mirror image of row i of ``train`` in row i; ``None`` searches no mirror images.
    ``panel`` maps a kind of copy to altered images of training patients. ``train`` is ``None`` where it is not known
    who was trained on.
    """

    train: Space | None
    mirrored_train: Space | None
    control_a: Space
    control_b: Space
    panel: Mapping[str, Space]


@dataclass(frozen=True, slots=True)
class Combination:
    """How copy ratios in several spaces become one score: ``members`` are positions in the calibration."""

    members: tuple[int, ...]
    scales: tuple[Scale, ...]

    def of(self, ratios: Sequence[CopyScores]) -> CopyScores:
        """The score from the copy ratios in every space of the calibration; with one member, its ratio."""
        chosen = tuple(ratios[i] for i in self.members)
        return chosen[0] if len(chosen) == 1 else joint_scores(chosen, self.scales)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A threshold in one space, or jointly in several, with its realised false alarms and its recall by kind."""

    encoder: str
    combination: Combination
    threshold: float  # an image is flagged when its score is strictly below
    false_alarms: Rate  # on control B
    recalls: Mapping[str, Rate]
    definition: Identity

    def flags(self, scores: CopyScores) -> NDArray[np.bool_]:
        """Which images are flagged, ``[n]``."""
        return np.asarray(scores.scores < self.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Detectors for each space and, last, the one for all of them, whose answer is the headline.

    ``missing`` says why there is no detector; then ``detectors`` is empty.
    """

    spec: MemorisationSpec
    encoders: tuple[str, ...]
    definition: Identity  # of the headline
    indices: tuple[TrainIndex, ...]
    detectors: tuple[Detector, ...]
    control_a_patients: NDArray[np.str_]
    control_images: int
    control_patients: int
    train_images: int
    train_patients: int
    missing: str = ""

    @property
    def headline(self) -> str:
        """How the space of the headline is called: the spaces' names joined by ``+``."""
        return "+".join(self.encoders)


def calibrate(references: Sequence[References], spec: MemorisationSpec, seed: int) -> Calibration:
    """Detectors from the same images in one or several spaces.

    Depends on no synthetic set, so that one calibration serves all sets of a run. ``seed`` drives the bootstrap of
    the false alarms. Raises ``ValueError`` where the spaces hold different rows.
    """
    _check_same_rows(references)
    first = references[0]
    missing = _missing(first, spec)
    indices: tuple[TrainIndex, ...] = ()
    detectors: tuple[Detector, ...] = ()
    if not missing:
        indices = tuple(_index(reference) for reference in references)
        detectors = _detectors(references, indices, spec, seed)
    control = np.concatenate([first.control_a.patients, first.control_b.patients])
    return Calibration(
        spec=spec,
        encoders=tuple(reference.control_a.encoder for reference in references),
        definition=definition_of(references, spec),
        indices=indices,
        detectors=detectors,
        control_a_patients=np.unique(first.control_a.patients),
        control_images=len(control),
        control_patients=len(np.unique(control)),
        train_images=0 if first.train is None else len(first.train),
        train_patients=0 if first.train is None else first.train.n_patients,
        missing=missing,
    )


def _missing(reference: References, spec: MemorisationSpec) -> str:
    """Why no detector can be made of ``reference``, or nothing."""
    if reference.train is None:
        return UNKNOWN_TRAIN
    if reference.train.n_patients <= spec.neighbours:
        return f"{reference.train.n_patients} training patients, but the copy ratio needs {spec.neighbours + 1}"
    for name, control in (("A", reference.control_a), ("B", reference.control_b)):
        if not len(control):
            return f"control {name} holds no image, so the detector has no false-alarm rate"
    shared = np.intersect1d(reference.control_a.patients, reference.control_b.patients)
    if len(shared):
        raise ValueError(f"{len(shared)} patients are in both controls")
    return ""


def _index(reference: References) -> TrainIndex:
    if reference.train is None:
        raise ValueError("an index needs training images")
    return TrainIndex(reference.train, reference.mirrored_train)


def _detectors(
    references: Sequence[References], indices: Sequence[TrainIndex], spec: MemorisationSpec, seed: int
) -> tuple[Detector, ...]:
    """One detector for each space and, with several spaces, one for all of them."""

    def ratios(spaces: Sequence[Space]) -> list[CopyScores]:
        return [index.score(space, spec.neighbours) for index, space in zip(indices, spaces, strict=True)]

    a, b = ratios([ref.control_a for ref in references]), ratios([ref.control_b for ref in references])
    kinds = [kind for kind, copies in references[0].panel.items() if len(copies)]
    panel = {kind: ratios([ref.panel[kind] for ref in references]) for kind in kinds}
    scales = [Scale.of(scores, spec.false_alarms) for scores in a]
    every = tuple(range(len(references)))
    groups = [(i,) for i in every] + ([every] if len(every) > 1 else [])
    found = []
    for members in groups:
        combination = Combination(members, tuple(scales[i] for i in members))
        chosen = [references[i] for i in members]
        found.append(_detector(combination, chosen, combination.of(a), combination.of(b),
                               {kind: combination.of(parts) for kind, parts in panel.items()}, spec, seed))  # fmt: skip
    return tuple(found)


def _detector(
    combination: Combination, references: Sequence[References], control_a: CopyScores, control_b: CopyScores,
    panel: Mapping[str, CopyScores], spec: MemorisationSpec, seed: int,
) -> Detector:  # fmt: skip
    """The threshold from control A, then what it does to control B and to planted copies."""
    first = references[0]
    encoder = "+".join(reference.control_a.encoder for reference in references)
    threshold = threshold_below(control_a.scores, spec.false_alarms)
    rng = numpy_generator("memorisation", "control-b", encoder, seed)
    return Detector(
        encoder=encoder,
        combination=combination,
        threshold=threshold,
        false_alarms=clustered_rate(control_b.scores < threshold, first.control_b.patients, rng, spec.replicates),
        recalls={
            kind: recall_by_patient(copies.scores < threshold, first.panel[kind].patients)
            for kind, copies in panel.items()
        },
        definition=definition_of(references, spec),
    )


def definition_of(references: Sequence[References], spec: MemorisationSpec) -> Identity:
    """What must be equal for two memorisation results to be comparable: never the set under test."""
    first = references[0]
    train, controls = first.train, (first.control_a, first.control_b)
    parts: dict[str, object] = {
        "definition": "adaptive copy ratio across patients",
        "neighbours": spec.neighbours,
        "mirrored_train": "not searched" if first.mirrored_train is None else "searched",
        "threshold_rule": f"control A, order statistic floor({spec.false_alarms} (n + 1)), flagged strictly below",
        "train": "unknown" if train is None else train.content_id,
        "train_counts": "unknown" if train is None else f"{len(train)} images, {train.n_patients} patients",
        "panel": ", ".join(f"{kind}: {panel.n_patients} patients" for kind, panel in sorted(first.panel.items())),
    }
    for name, control in zip(("control_a", "control_b"), controls, strict=True):
        parts[name] = control.content_id
        parts[f"{name}_counts"] = f"{len(control)} images, {control.n_patients} patients"
    for reference in references:
        space = dict(reference.control_a.definition)
        parts |= {f"{reference.control_a.encoder}.{key}": value for key, value in space.items()}
    return identity(**parts)


def _check_same_rows(references: Sequence[References]) -> None:
    """The spaces of one calibration show the same images in the same order."""
    if not references:
        raise ValueError("a calibration needs at least one space")
    for reference in references[1:]:
        for mine, other in zip(_sides(reference), _sides(references[0]), strict=True):
            rows = [None if side is None else side.patients.tolist() for side in (mine, other)]
            if rows[0] != rows[1]:
                raise ValueError(f"spaces {reference.control_a.encoder!r} and {references[0].control_a.encoder!r} "
                                 "hold different rows")  # fmt: skip


def _sides(reference: References) -> list[Space | None]:
    panel: list[Space | None] = [reference.panel[kind] for kind in sorted(reference.panel)]
    return [reference.train, reference.mirrored_train, reference.control_a, reference.control_b, *panel]
