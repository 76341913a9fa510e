"""Which snapshot is sampled: by validation patients alone, with the reason where nothing can be compared."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from synthassay.generators.conditioning.plan_specs import SampleSpec
from synthassay.generators.overfit_specs import OverfitSpec
from synthassay.generators.selection_specs import SelectSpec
from synthassay.generators.specs import VaeSpec
from synthassay.records import Cohort, FeatureSet, ImageSet, SilentProgress
from synthassay.reports.data import Candidate
from synthassay.specs import Resources
from synthassay.stages import select as stage
from synthassay.stages.line import Line
from synthassay.stages.select import chosen, select
from synthassay.store.store import Store

STEPS = (10, 20, 30)
BRIGHTNESS = {10: 0.2, 20: 0.6, 30: 0.9, None: 0.9}  # of the images after each step


def real(n: int, brightness: float, patients: int | None = None, seed: int = 0) -> ImageSet:
    noise = np.random.default_rng(seed).normal(255 * brightness, 4, (n, 1, 4, 4))
    return ImageSet(
        name="real", origin="real", pixels=np.clip(noise, 0, 255).astype(np.uint8), ids=np.arange(n).astype(str),
        patients=(np.arange(n) % (patients or n)).astype(str), labels=np.arange(n) % 2, label_names=("no", "yes"),
    )  # fmt: skip


class Family:
    """Draws images of one brightness, by the step whose state was loaded."""

    def __init__(self) -> None:
        self.loaded: list[int | None] = []

    def snapshots(self, _: Path) -> tuple[int, ...]:
        return STEPS

    def load(self, _: Path, __: Resources, snapshot: int | None = None) -> Any:
        self.loaded.append(snapshot)

        def draw(seeds: np.ndarray, conditions: dict[str, np.ndarray]) -> np.ndarray:
            noise = np.random.default_rng(seeds.astype(np.uint64)).normal(0, 0.02, (len(seeds), 1, 4, 4))
            return (BRIGHTNESS[snapshot] + noise).astype(np.float32)

        return SimpleNamespace(sample=draw, batch_size=7)


class Encoder:
    """Pixels as features; remembers what it was shown."""

    identity = (("encoder", "pixels"),)

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, images: ImageSet, _: Any) -> FeatureSet:
        self.seen.append(images.content_id)
        return FeatureSet(
            name=images.name, origin=images.origin, features=images.pixels.reshape(len(images), -1).astype(np.float32),
            ids=images.ids, patients=images.patients, labels=images.labels, label_names=images.label_names,
            encoder="pixels", encoder_identity=self.identity, content_id=images.content_id,
        )  # fmt: skip


class Run:
    """A run of one generator, whose family and encoder count what they do."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch, spec: Any = None, **settings: Any) -> None:
        self.family, self.encoder = Family(), Encoder()
        self.spec = spec or VaeSpec(name="fake", sample_batch=7)
        monkeypatch.setattr(type(self.spec), "build", lambda _: self.family)
        monkeypatch.setattr(stage, "ready_encoder", lambda *_: self.encoder)
        rule = SelectSpec(**{"images": 40, **settings})
        run = SimpleNamespace(
            generators=(self.spec,), select=rule, sample=SampleSpec(), seed=0, encoder=None, controls=()
        )
        self.context = _Context(spec=run, store=Store(place / "store"))
        self.trained: Any = SimpleNamespace(key=SimpleNamespace(digest="0" * 24), path=place)

    def select(self, validation: ImageSet) -> Any:
        found = select(self.context, {self.spec.name: self.trained}, real(30, 0.6, seed=1), validation)  # type: ignore[arg-type]
        return found[self.spec.name]


class _Context(SimpleNamespace):
    """Stands for a RunContext; :func:`dataclasses.replace` needs the real one, so that the test brings its own."""


@pytest.fixture(autouse=True)
def _contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    from synthassay.stages.context import RunContext

    def make(spec: Any, store: Store) -> RunContext:
        return RunContext(spec, store, store.root, Resources(device="cpu", threads=1), SilentProgress())

    monkeypatch.setattr(f"{__name__}._Context", make)


def test_the_snapshot_nearest_to_validation_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, monkeypatch)
    found = run.select(real(50, 0.6, patients=25))
    assert (found.rule, found.chosen, found.steps, found.reason) == ("kid-validation", 20, 30, "")
    assert [candidate.step for candidate in found.candidates] == [10, 20, 30]
    assert found.images == 40  # of each side: as many as asked for
    assert found.patients <= 25
    assert found.encoder == "pixels"
    assert all(candidate.standard_error > 0 for candidate in found.candidates)


def test_another_validation_set_chooses_another_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Run(tmp_path, monkeypatch).select(real(50, 0.2)).chosen == 10
    assert Run(tmp_path, monkeypatch).select(real(50, 0.9)).chosen == 30


SHARES = {"generator-train": (30, 0.6), "control-a": (12, 0.4), "control-b": (12, 0.4), "validation": (50, 0.6),
          "test": (40, 0.3), "external": (12, 0.3)}  # fmt: skip


def cohort(**other: float) -> Cohort:
    """Images of a brightness by split; ``other`` gives splits, written with an underscore, another one."""
    parts, splits = [], []
    for number, (split, (n, brightness)) in enumerate(SHARES.items()):
        parts.append(real(n, other.get(split.replace("-", "_"), brightness), seed=number).pixels)
        splits += [split] * n
    pixels = np.concatenate(parts)
    images = real(len(pixels), 0.5)
    images = replace(images, pixels=pixels, content_id="")
    return Cohort(
        name="made up", images=images, splits=np.array(splits), records=(), label="finding", positive=1, policy={}
    )


def test_neither_test_nor_control_images_have_a_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, drawn = [], []
    bright = {"test": 0.9, "control_a": 0.9, "control_b": 0.9, "external": 0.9}  # as the last snapshot draws
    for name, changes in (("as it is", {}), ("others changed", bright), ("validation changed", {"validation": 0.9})):
        run = Run(tmp_path / name, monkeypatch)
        line = Line(run.context)
        line.cohort, line.trained = cohort(**changes), {"fake": run.trained}
        line._sample()
        found.append(line.selections["fake"])
        drawn.append(line.sets["fake"].content_id)
        seen = {line.cohort.split(split).content_id for split in SHARES if split != "validation"}
        assert not seen & set(run.encoder.seen)
    assert found[0] == found[1]
    assert drawn[0] == drawn[1]
    assert (found[0].chosen, found[2].chosen) == (20, 30)
    assert drawn[2] != drawn[0]


def test_a_choice_is_kept_and_does_not_depend_on_the_size_of_the_final_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validation = real(50, 0.6)
    first = Run(tmp_path, monkeypatch).select(validation)
    again = Run(tmp_path, monkeypatch, VaeSpec(name="fake", sample_batch=7, images=999))
    assert again.select(validation) == first
    assert again.family.loaded == []
    assert again.encoder.seen == []


def test_a_killed_choice_goes_on_with_the_next_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    validation = real(50, 0.6)
    run = Run(tmp_path, monkeypatch)
    encode = run.encoder.encode

    def killed(images: ImageSet, progress: Any) -> FeatureSet:
        if len(run.encoder.seen) == 2:  # validation and the first snapshot are done
            raise KeyboardInterrupt
        return encode(images, progress)

    run.encoder.encode = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run.select(validation)
    resumed = Run(tmp_path, monkeypatch)
    assert resumed.select(validation).chosen == 20
    assert resumed.family.loaded == [30]  # the images of the first two are in the store
    assert len(resumed.encoder.seen) == 2


@pytest.mark.parametrize(
    ("settings", "validation", "reason"),
    [
        ({"rule": "last"}, real(50, 0.2), "select.rule=last"),
        ({}, real(50, 0.2, patients=9), "validation has 9 patients with 50 images, and a choice needs 10 with 20"),
        ({}, real(12, 0.2), "validation has 12 patients with 12 images"),
        ({}, real(0, 0.2), "validation has 0 patients"),
    ],
)
def test_the_last_snapshot_is_sampled_with_the_reason(
    settings: dict[str, Any], validation: ImageSet, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, monkeypatch, **settings)
    found = run.select(validation)
    assert (found.rule, found.chosen, found.candidates) == ("last", 30, ())
    assert reason in found.reason
    assert run.family.loaded == []


def test_a_positive_control_is_sampled_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Run(tmp_path, monkeypatch, OverfitSpec()).select(real(50, 0.2))
    assert (found.rule, found.chosen) == ("last", 30)
    assert "positive control" in found.reason


def test_a_tie_goes_to_the_later_snapshot() -> None:
    rows = [Candidate(step=s, kid=k, standard_error=e) for s, k, e in ((1, 0.5, 0.1), (2, 0.2, 0.1), (3, 0.29, 0.0))]
    assert chosen(rows).step == 3
    assert chosen([*rows[:2], replace(rows[2], kid=0.31)]).step == 2
    assert chosen([*rows, Candidate(step=4, kid=0.4, standard_error=9.0)]).step == 3  # its own error helps nobody
    assert chosen(rows[:1]).step == 1
