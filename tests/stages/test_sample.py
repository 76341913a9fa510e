"""Synthetic sets carry the conditions that they were sampled with; a plan samples again and trains nothing."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from synthassay.generators.conditioning.plan_specs import SampleSpec
from synthassay.generators.control_specs import OracleSpec
from synthassay.generators.selection_specs import SelectSpec
from synthassay.generators.specs import VaeSpec
from synthassay.records import UNKNOWN_MASK, ImageSet, SilentProgress
from synthassay.specs import Resources
from synthassay.stages.exhibits import set_summaries
from synthassay.stages.sample import draw_shards, sample
from synthassay.store.store import Store

N = 12
ALL = ("label", "site", "device", "sex", "age_band", "slice_position", "mask")


def training_images() -> ImageSet:
    masks = np.random.default_rng(0).integers(0, 2, (N, 4, 4)).astype(np.uint8)
    masks[0] = UNKNOWN_MASK
    groups = {
        "site": ["a", "b"],
        "device": ["x", "y"],
        "view": ["PA", "AP"],
        "sex": ["F", ""],
        "age_band": ["0-19", "60-"],
    }
    return ImageSet(
        name="real/train", origin="real", pixels=np.zeros((N, 1, 4, 4), np.uint8), ids=np.arange(N).astype(str),
        patients=np.arange(N).astype(str), labels=np.arange(N) // 9, label_names=("no", "yes"),
        groups={name: np.array(values * 6) for name, values in groups.items()},
        covariates={"slice_position": np.linspace(0, 1, N).astype(np.float32), "age": np.full(N, 30, np.float32)},
        masks=masks, mask_names=("background", "tumour"),
    )  # fmt: skip


class Family:
    """Draws images of the brightness of their label; counts its images, and remembers how many were asked for."""

    def __init__(self, batch_size: int = 5) -> None:
        self.drawn = 0
        self.batch_size = batch_size  # of what is to come, as a GPU's grows with the first
        self.asked: list[int] = []

    def load(self, *_: Any) -> "Family":
        return self

    def sample(self, seeds: np.ndarray, conditions: dict[str, np.ndarray]) -> np.ndarray:
        assert all(len(values) == len(seeds) for values in conditions.values())
        self.drawn += len(seeds)
        self.asked.append(len(seeds))
        return np.broadcast_to(conditions["label"][:, None, None, None], (len(seeds), 1, 4, 4)).astype(np.float32)


@pytest.fixture
def sampled(tmp_path: Path) -> Any:
    """``sampled(condition_on, plan)`` is the synthetic set and how many of its images were drawn in this call."""

    def run(condition_on: tuple[str, ...] = ("label",), plan: str = "real", images: int | None = None) -> Any:
        family = Family()
        key = {"kind": "fake", "condition_on": condition_on, "images": images}
        spec: Any = SimpleNamespace(name="fake", images=images, sample_batch=5, condition_on=condition_on,
                                    build=lambda: family, to_key=lambda: key)  # fmt: skip
        chosen = SimpleNamespace(seed=0, sample=SampleSpec.model_validate({"plan": plan}))
        context: Any = SimpleNamespace(spec=chosen, store=Store(tmp_path / "store"), resources=Resources(device="cpu"),
                                       progress=SilentProgress(), note=lambda output: output)  # fmt: skip
        trained: Any = SimpleNamespace(key=SimpleNamespace(digest="0" * 24), path=tmp_path)
        return sample(context, spec, trained, training_images()), family.drawn

    return run


def test_all_conditions_are_columns_of_the_set(sampled: Any) -> None:
    made, _ = sampled(ALL)
    train = training_images()
    assert sorted(made.groups) == ["age_band", "device", "sex", "site"]  # nothing of what was not conditioned on
    assert list(made.covariates) == ["slice_position"]
    assert made.mask_names == train.mask_names
    assert made.mask_known.sum() == N - 1
    source = np.argmin(np.abs(made.covariates["slice_position"][:, None] - train.covariates["slice_position"]), 1)
    assert sorted(source.tolist()) == list(range(N))
    np.testing.assert_array_equal(made.masks, train.masks[source])
    np.testing.assert_array_equal(made.labels, train.labels[source])
    for name, values in made.groups.items():
        np.testing.assert_array_equal(values, train.groups[name][source])
    np.testing.assert_array_equal(made.pixels[:, 0, 0, 0], 255 * made.labels)


def test_without_other_conditions_places_are_missing_and_there_is_no_mask(sampled: Any) -> None:
    made, _ = sampled()
    assert {name: set(values.tolist()) for name, values in made.groups.items()} == {"site": {""}, "device": {""}}
    assert made.covariates == {}
    assert made.masks is None


def test_another_plan_samples_again_and_the_same_does_not(sampled: Any, tmp_path: Path) -> None:
    real, drawn = sampled()
    assert (np.bincount(real.labels).tolist(), drawn) == ([9, 3], N)
    assert sampled()[1] == 0
    balanced, drawn = sampled(plan="uniform")
    assert (np.bincount(balanced.labels).tolist(), drawn) == ([6, 6], N)
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("label,count\nyes,6\nno,1\n")
    tabled, drawn = sampled(plan=str(tmp_path / "one.csv"))
    assert (np.bincount(tabled.labels).tolist(), drawn) == ([1, 6], 7)
    assert sampled(plan=str(tmp_path / "two.csv"))[1] == 0  # the same content
    assert sampled(plan=str(tmp_path / "two.csv"), images=14)[1] == 14


def test_shards_are_drawn_together_where_there_is_room_and_missing_ones_alone(tmp_path: Path) -> None:
    def drawn(folder: str, batch_size: int, lost: Sequence[int] = ()) -> tuple[list[int], list[bytes]]:
        family, seeds = Family(batch_size), np.arange(23)
        spec: Any = SimpleNamespace(name="fake", sample_batch=5, build=lambda: family)
        for start in lost:
            (tmp_path / folder / f"{start:08d}.npy").unlink()
        context: Any = SimpleNamespace(resources=Resources(device="cpu"), progress=SilentProgress())
        trained: Any = SimpleNamespace(path=tmp_path)
        paths = draw_shards(context, spec, trained, None, seeds, {"label": seeds % 2}, tmp_path / folder,
                            training_images())  # fmt: skip
        return family.asked, [path.read_bytes() for path in paths]

    singly, expected = drawn("singly", 5)
    assert singly == [5, 5, 5, 5, 3]
    assert drawn("together", 12) == ([10, 10, 3], expected)
    assert drawn("together", 100, lost=[5, 20]) == ([8], expected)
    assert drawn("together", 3) == ([], expected)


def test_runs_of_another_plan_are_told_apart_and_say_so(sampled: Any) -> None:
    """Runs whose settings have one digest are averaged over seeds."""
    made, _ = sampled()
    control = replace(made, name="oracle", origin="control", content_id="")
    spec = OracleSpec()
    summaries = {}
    for plan in ("real", "uniform"):
        asked = SampleSpec.model_validate({"plan": plan})
        run = SimpleNamespace(generators=[VaeSpec(name="fake")], controls=[spec], sample=asked, select=SelectSpec())
        line: Any = SimpleNamespace(
            context=SimpleNamespace(spec=run), sets={"fake": made, "oracle": control}, selections={}
        )
        summaries[plan] = set_summaries(line)
    assert summaries["real"][0].settings_digest != summaries["uniform"][0].settings_digest
    assert summaries["real"][1] == summaries["uniform"][1]
    assert summaries["uniform"][0].description.endswith("every combination of conditions equally often")
