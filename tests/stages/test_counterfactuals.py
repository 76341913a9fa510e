"""Counterfactuals are drawn once from the trained sampler, go on after a kill, and follow the settings."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.generators.conditioning.plan_specs import SampleSpec
from synthassay.records import SilentProgress
from synthassay.specs import Resources
from synthassay.stages.counterfactuals import check_asked, counterfactuals
from synthassay.store.store import Store
from tests.stages.test_sample import training_images


class Listener:
    """Draws the seed's grey level, brighter by 0.2 on device y; fails after ``most`` images."""

    def __init__(self, most: int | None = None) -> None:
        self.drawn, self.most = 0, most

    batch_size = 4

    def load(self, *_: Any) -> "Listener":
        return self

    def sample(self, seeds: np.ndarray, conditions: dict[str, np.ndarray]) -> np.ndarray:
        self.drawn += len(seeds)
        if self.most is not None and self.drawn > self.most:
            raise UserError("killed")
        level = (seeds % 100) / 200 + 0.2 * (conditions["device"] == "y")
        return np.broadcast_to(level[:, None, None, None], (len(seeds), 1, 4, 4)).astype(np.float32)


def test_contrasts_of_a_label_that_no_image_has_are_refused() -> None:
    images = training_images()
    asked = SampleSpec.model_validate({"counterfactuals": {"columns": ["label"]}})
    run: Any = SimpleNamespace(generators=[SimpleNamespace(condition_on=("auto",))], sample=asked)
    check_asked(run, images)
    with pytest.raises(UserError, match="names label, which no training image has"):
        check_asked(run, replace(images, labels=np.full(len(images), -1)))


@pytest.fixture
def draw(tmp_path: Path) -> Any:
    def run(family: Listener, condition_on: tuple[str, ...] = ("label", "device"), **asked: Any) -> Any:
        key = {"kind": "fake", "condition_on": condition_on}
        spec: Any = SimpleNamespace(name="fake", sample_batch=4, condition_on=condition_on, build=lambda: family,
                                    to_key=lambda: key)  # fmt: skip
        settings = SampleSpec.model_validate({"counterfactuals": {"seeds": 5, **asked}})
        context: Any = SimpleNamespace(spec=SimpleNamespace(seed=0, sample=settings), store=Store(tmp_path / "store"),
                                       resources=Resources(device="cpu"), progress=SilentProgress(),
                                       note=lambda output: output)  # fmt: skip
        trained: Any = SimpleNamespace(key=SimpleNamespace(digest="0" * 24), path=tmp_path)
        return counterfactuals(context, spec, trained, training_images())

    return run


def test_a_generator_that_listens_to_the_device_and_not_to_the_label_is_told(draw: Any) -> None:
    family = Listener()
    label, device = draw(family)
    assert family.drawn == 5 * 3 + 5 * 3  # two values and the reference under another seed
    assert [item.contrast.column for item in (label, device)] == ["label", "device"]
    assert label.response.share == 0.0
    assert device.response.change == pytest.approx(0.2, abs=0.005)
    assert device.response.share > 0.3
    assert device.images.shape == (5, 2, 1, 4, 4)


def test_the_same_is_found_and_other_settings_are_drawn(draw: Any) -> None:
    first = draw(Listener())
    family = Listener()
    again = draw(family)
    assert family.drawn == 0
    np.testing.assert_array_equal(again[1].images, first[1].images)
    draw(family, columns=["device"])
    assert family.drawn == 15
    assert draw(family, columns=[]) == []
    assert family.drawn == 15


def test_what_was_drawn_before_a_kill_is_not_drawn_again(draw: Any) -> None:
    with pytest.raises(UserError, match="killed"):
        draw(Listener(most=14))
    family = Listener()
    continued = draw(family)
    assert family.drawn == 30 - 12  # three shards of four were kept
    assert [item.response.seeds for item in continued] == [5, 5]
