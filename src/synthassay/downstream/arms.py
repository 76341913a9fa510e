"""The arms of the comparison: which images each classifier sees, for how many steps, and what it then predicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synthassay.downstream.metadata import metadata_baseline
from synthassay.downstream.specs import DownstreamSpec
from synthassay.downstream.training import Intensity, Task, train_classifier
from synthassay.metrics.classification import threshold_at_specificity
from synthassay.records import UNLABELLED, ImageSet, Predictions, Progress, Split, content_digest
from synthassay.specs import Resources, digest_of

__all__ = ["Arm", "ArmName", "metadata_baseline", "plan_arms", "train_arm", "training_key"]

AFTER_TRAINING = {"seeds", "intervals", "group_by", "ece_bins", "ridge", "specificity", "save_every"}

ArmName = Literal["real", "real-long", "synthetic", "both"]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train the classifier, the same for every seed.

    ``sources`` are the labelled training images, real first. ``prevalence`` and ``intensity`` are those of
    generator-train in every arm. ``reason`` says why the arm cannot be trained (it then yields no predictions);
    ``caveat`` says why its results, though computed, are no evidence.
    """

    name: ArmName
    generator: str  # "" for the real arms
    sources: tuple[ImageSet, ...]
    positive: int
    prevalence: float
    intensity: Intensity
    train_content: str  # of generator-train, whichever images this arm sees
    reason: str = ""
    caveat: str = ""

    @property
    def title(self) -> str:
        """``real`` or, for example, ``both edm``."""
        return f"{self.name} {self.generator}".strip()

    def steps(self, spec: DownstreamSpec) -> int:
        """Optimiser steps: S for real and synthetic, ``both_factor`` times S for both and real-long."""
        return spec.steps * (spec.both_factor if self.name in ("both", "real-long") else 1)

    def count(self, real: bool) -> int:
        """Training images that are real (from generator-train), or that are not."""
        has_real = self.name != "synthetic"
        parts = self.sources[: int(has_real)] if real else self.sources[int(has_real) :]
        return sum(len(part) for part in parts)


def plan_arms(
    train: ImageSet,
    synthetic: Mapping[str, ImageSet],
    *,
    positive: int = 1,
    caveats: Mapping[str, str] | None = None,
) -> list[Arm]:
    """Real, real-long, and for each set of ``synthetic`` the arms synthetic and both.

    ``train`` is generator-train, the only source of real images. ``positive`` is the class to predict, against all
    others; images without a label are left out. ``caveats[set]`` marks a set whose results are no evidence, for
    example because the patients it was trained on are unknown. Raises ``ValueError`` for another split than
    generator-train or another image format between the sets.
    """
    if train.split not in ("generator-train", None):
        raise ValueError(f"real arms are trained on generator-train only, got {train.split!r}")
    real = _labelled(train)
    prevalence = float(np.mean(real.labels == positive)) if len(real) else 0.0
    intensity = Intensity.of(train)
    why_real = _untrainable(real, positive, "generator-train")

    def arm(name: ArmName, generator: str, sources: tuple[ImageSet, ...], reason: str) -> Arm:
        return Arm(name=name, generator=generator, sources=sources, positive=positive, prevalence=prevalence,
                   intensity=intensity, train_content=train.content_id, reason=reason,
                   caveat=(caveats or {}).get(generator, ""))  # fmt: skip

    arms = [arm("real", "", (real,), why_real), arm("real-long", "", (real,), why_real)]
    for name, images in synthetic.items():
        _check_alike(train, images, name)
        labelled = _labelled(images)
        why = why_real or _untrainable(labelled, positive, f"the set {name}")
        arms += [arm("synthetic", name, (labelled,), why), arm("both", name, (real, labelled), why)]
    return arms


def _labelled(images: ImageSet) -> ImageSet:
    known = images.labels != UNLABELLED
    return images if known.all() else images.take(known)


def _untrainable(images: ImageSet, positive: int, what: str) -> str:
    if images.pixels.ndim == 5:
        return f"the classifiers work on images, and {what} holds volumes"
    if not len(images):
        return f"{what} has no labels"
    finding = images.label_names[positive] if positive < len(images.label_names) else str(positive)
    count = int(np.sum(images.labels == positive))
    if count in (0, len(images)):
        return f"{what} has labels of one class only ({count} of {len(images)} images are {finding!r})"
    return ""


def _check_alike(train: ImageSet, images: ImageSet, name: str) -> None:
    expected, found = (train.pixels.shape[1:], train.pixels.dtype), (images.pixels.shape[1:], images.pixels.dtype)
    if expected != found:
        raise ValueError(f"set {name} holds images of {found}, generator-train of {expected}")
    if images.label_names != train.label_names:
        raise ValueError(f"set {name} names its labels {images.label_names}, generator-train {train.label_names}")


def train_arm(
    arm: Arm,
    validation: ImageSet,
    tests: Mapping[Split, ImageSet],
    spec: DownstreamSpec,
    *,
    seed: int,
    workdir: Path,
    resources: Resources,
    progress: Progress,
) -> list[Predictions]:
    """Train one arm with one seed and score the held-out patients: one :class:`Predictions` per non-empty test.

    First weights, order of draws and augmentation follow from ``seed`` alone, so arms of equal seed differ in their
    images only. The threshold is the one of ``spec.specificity`` on ``validation`` (NaN if that has no negative).
    ``workdir`` may be shared by all arms and seeds: each pair has a folder of its own there, its finished scores are
    read instead of trained again, and a killed training goes on from its last saved state. An arm with a ``reason``
    gives an empty list. Raises ``ValueError`` if a patient is on both sides.
    """
    if arm.reason:
        return []
    held_out = {split: _labelled(images) for split, images in tests.items()}
    held_out = {split: images for split, images in held_out.items() if len(images)}
    check = _labelled(validation)
    scored: dict[str, ImageSet] = {"validation": check, **{str(split): images for split, images in held_out.items()}}
    _check_disjoint(arm, [check, *held_out.values()])
    key = training_key(arm, check, held_out, spec, seed)
    task = Task(
        key=key, sources=arm.sources, positive=arm.positive, prevalence=arm.prevalence, intensity=arm.intensity,
        steps=arm.steps(spec), seed=seed, title=f"classifier {arm.title}, seed {seed}",
    )  # fmt: skip
    scores = train_classifier(task, scored, spec, workdir / key[:24], resources, progress)
    threshold = threshold_at_specificity(scores["validation"], _truth(check, arm.positive), spec.specificity)
    return [_predictions(arm, split, images, scores[split], seed, threshold) for split, images in held_out.items()]


def _truth(images: ImageSet, positive: int) -> NDArray[np.int64]:
    return np.asarray(images.labels == positive, np.int64)


def _predictions(
    arm: Arm, split: Split, images: ImageSet, scores: NDArray[np.float32], seed: int, threshold: float
) -> Predictions:
    return Predictions(
        arm=arm.name, generator=arm.generator, seed=seed, split=split, ids=images.ids, patients=images.patients,
        scores=scores, labels=_truth(images, arm.positive), groups=images.groups, threshold=threshold,
    )  # fmt: skip


def _check_disjoint(arm: Arm, held_out: Sequence[ImageSet]) -> None:
    seen = {patient for source in arm.sources for patient in source.patients.tolist()}
    shared = sum(len(seen.intersection(images.patients.tolist())) for images in held_out)
    if shared:
        raise ValueError(f"{shared} patients of arm {arm.title} are also among those held out")


def training_key(
    arm: Arm, validation: ImageSet, tests: Mapping[Split, ImageSet], spec: DownstreamSpec, seed: int
) -> str:
    """sha256 (hex) of all that the scores of one training depend on.

    Settings that only come after the scores (groups, intervals, specificity) and the name of the set are left out:
    changing them trains nothing again.
    """
    held_out: dict[str, str] = {"validation": validation.content_id}
    held_out.update({split: images.content_id for split, images in tests.items()})
    return digest_of({
        "arm": arm.name,
        "sources": [[s.content_id, content_digest(s.labels)] for s in arm.sources],
        "positive": arm.positive,
        "train": arm.train_content,
        "spec": {name: value for name, value in spec.to_key().items() if name not in AFTER_TRAINING},
        "held out": held_out,
        "seed": seed,
    })  # fmt: skip
