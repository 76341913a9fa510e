"""memorise: does a set hold copies of generator-train patients? Part of the stage *score*."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.generators.planting import copy_panel
from synthassay.privacy.detector import Calibration, References, calibrate
from synthassay.privacy.memorisation import assess
from synthassay.privacy.spaces import Space, feature_space, mirrored_images, pixel_space
from synthassay.records import Cohort, FeatureSet, ImageSet, MetricResult
from synthassay.stages.context import RunContext
from synthassay.store.store import StageKey
from synthassay.store.tables import load_results, save_results, write_array

VERSION = 1
PANEL = "panel: "
COLUMNS = ("scores", "rows", "flipped", "flagged", "spaces")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorisationRecord:
    """Results, and per image what the internal report shows; the columns are empty where nothing was assessed.

    ``scores`` ``[n]``: the copy ratio, lower is more alike. ``rows``: the nearest image of generator-train.
    ``flipped``: whether it matched as its mirror image. ``spaces``: where the ratio was lowest.
    """

    results: list[MetricResult]
    scores: NDArray[np.float64]
    rows: NDArray[np.int64]
    flipped: NDArray[np.bool_]
    flagged: NDArray[np.bool_]
    spaces: NDArray[np.str_]


def panel_sets(context: RunContext, cohort: Cohort) -> dict[str, ImageSet]:
    """Planted copies of generator-train by kind: the positive control of the detector."""
    spec = context.spec.memorisation
    train = cohort.split("generator-train")
    panel = copy_panel(train, spec.panel_kinds, spec.panel_patients, context.spec.seed)
    return {PANEL + kind: images for kind, images in panel.items()}


@dataclass
class Memoriser:
    """Assesses the sets of one run. The detector is made once, when the first set is not found done."""

    context: RunContext
    cohort: Cohort
    panel: Mapping[str, ImageSet]
    features: Mapping[str, FeatureSet]
    _made: dict[bool, Calibration] = field(default_factory=dict)

    def assess(self, name: str, images: ImageSet, train_known: bool) -> MemorisationRecord:
        """The assessment of one set, in pixel space and in feature space."""
        output = self.context.note(
            self.context.store.run(self._key(name, images, train_known), self._builder(images, name, train_known))
        )
        columns: dict[str, Any] = {c: np.load(output.path / f"{c}.npy", allow_pickle=False) for c in COLUMNS}
        return MemorisationRecord(results=load_results(output.path / "results.json"), **columns)

    def _key(self, name: str, images: ImageSet, train_known: bool) -> StageKey:
        spec = self.context.spec
        real = ("generator-train", "generator-train, mirrored", "control-a", "control-b", *self.panel)
        inputs = {part: self.features[part].content_id for part in real if part in self.features}
        facts = {
            "memorisation": spec.memorisation.to_key(),
            "encoder": dict(self.features["test"].encoder_identity),
            "name": name,
            "train_known": train_known,
            "seed": spec.seed,
        }
        return StageKey("memorise", VERSION, facts, {"subject": images.content_id, **inputs})

    def _builder(self, images: ImageSet, name: str, train_known: bool) -> Any:
        def build(workdir: Path) -> None:
            outcome = assess(self._calibration(train_known), self._spaces(images, name), self.context.spec.seed)
            save_results(outcome.results, workdir / "results.json")
            for column in COLUMNS:
                write_array(workdir / f"{column}.npy", getattr(outcome, column))

        return build

    def _calibration(self, train_known: bool) -> Calibration:
        if train_known not in self._made:
            train = self.cohort.split("generator-train")
            known = self._spaces(train, "generator-train") if train_known else (None, None)
            flipped = self._spaces(mirrored_images(train), "generator-train, mirrored")
            control_a = self._spaces(self.cohort.split("control-a"), "control-a")
            control_b = self._spaces(self.cohort.split("control-b"), "control-b")
            panel = {part.removeprefix(PANEL): self._spaces(images, part) for part, images in self.panel.items()}
            references = [
                References(
                    train=known[i],
                    mirrored_train=flipped[i],
                    control_a=control_a[i],
                    control_b=control_b[i],
                    panel={kind: spaces[i] for kind, spaces in panel.items()},
                )
                for i in range(2)
            ]
            spec = self.context.spec
            self._made[train_known] = calibrate(references, spec.memorisation, spec.seed)
        return self._made[train_known]

    def _spaces(self, images: ImageSet, name: str) -> tuple[Space, Space]:
        spec = self.context.spec.memorisation
        empty = self.features["test"].take(np.empty(0, np.int64))  # stands for a split without images
        features = self.features.get(name, empty)
        return pixel_space(images, spec.pixel_size, spec.pixel_blur), feature_space(features)
