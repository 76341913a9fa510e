"""The conditions of the synthetic images follow those of generator-train."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Vocabulary
from synthassay.generators.conditioning.plan import condition_columns, condition_plan, planned_images
from synthassay.generators.conditioning.plan_specs import PlanSpec, SampleSpec
from synthassay.records import UNKNOWN_MASK, ImageSet


def train(labels: list[int], sites: list[str]) -> ImageSet:
    n = len(labels)
    ids = np.arange(n).astype(str)
    return ImageSet(
        name="t", origin="real", pixels=np.zeros((n, 1, 2, 2), np.uint8), ids=ids, patients=ids,
        labels=np.array(labels, np.int64), label_names=("no", "yes"), groups={"site": np.array(sites)},
    )  # fmt: skip


TRAIN = train([0] * 70 + [1] * 30, ["a"] * 50 + ["b"] * 50)


def test_every_prefix_has_the_joint_proportions_of_the_training_images() -> None:
    plan = condition_plan(TRAIN, 500, ["label", "site"], seed=0)
    assert plan["label"].dtype == np.int64
    assert plan["site"].dtype.kind == "U"
    shares = {(0, "a"): 0.5, (0, "b"): 0.2, (1, "b"): 0.3}
    for (label, site), share in shares.items():
        chosen = (plan["label"] == label) & (plan["site"] == site)
        behind = np.abs(np.cumsum(chosen) - share * np.arange(1, 501))
        assert behind.max() <= 1.0
    assert not ((plan["label"] == 1) & (plan["site"] == "a")).any()  # a combination that train does not show


def test_as_many_images_as_train_have_exactly_its_counts() -> None:
    plan = condition_plan(TRAIN, len(TRAIN), ["label"], seed=5)
    assert np.bincount(plan["label"]).tolist() == [70, 30]


def test_a_row_does_not_depend_on_how_many_are_asked_for() -> None:
    long, short = (condition_plan(TRAIN, n, ["label", "site"], seed=1) for n in (200, 37))
    for name, values in short.items():
        np.testing.assert_array_equal(long[name][:37], values)


def test_the_seed_decides_ties_only() -> None:
    even = train([0, 1, 0, 1], ["a"] * 4)
    plans = {tuple(condition_plan(even, 4, ["label"], seed)["label"].tolist()) for seed in range(8)}
    assert plans == {(0, 1, 0, 1), (1, 0, 1, 0)}


def test_auto_is_the_label_where_any_image_has_one() -> None:
    nobody = replace(TRAIN, labels=np.full(len(TRAIN), -1))
    assert list(condition_columns(TRAIN, ["auto", "site"])) == ["label", "site"]
    assert list(condition_columns(TRAIN, ["auto", "label"])) == ["label"]
    assert list(condition_columns(nobody, ["auto", "site"])) == ["site"]
    assert condition_plan(nobody, 5, ["auto"], 0) == {}
    assert Vocabulary.of(nobody, ["auto"]).named == ()
    assert Vocabulary.of(TRAIN, ["auto"]) == Vocabulary.of(TRAIN, ["label"])
    with pytest.raises(UserError, match=r"names label, .*\n.*leave it out: generator\.condition_on=\[site\]"):
        Vocabulary.of(nobody, ["auto", "label", "site"])


def test_no_condition_no_image_and_an_unknown_column() -> None:
    assert condition_plan(TRAIN, 10, [], 0) == {}
    assert len(condition_plan(TRAIN, 0, ["label"], 0)["label"]) == 0
    with pytest.raises(UserError, match=r"'device'; these images have label, site"):
        condition_plan(TRAIN, 10, ["device"], 0)
    with pytest.raises(UserError, match="no training image"):
        condition_plan(TRAIN.take(np.zeros(100, bool)), 10, ["label"], 0)


def rich() -> ImageSet:
    """Eight images of every kind of condition; the masks are all unlike each other, that of image 5 is unknown."""
    masks = np.arange(8, dtype=np.uint8)[:, None, None] * np.ones((2, 2), np.uint8)
    masks[5] = UNKNOWN_MASK
    groups = {"site": ["a"] * 6 + ["b", ""], "device": ["x"] * 8, "sex": ["F", "M"] * 4, "age_band": ["40-59"] * 8}
    positions = np.array([0, 0.1, 0.2, 0.3, 0.4, np.nan, 0.6, 0.7], np.float32)
    return replace(
        train([0] * 6 + [1, -1], groups["site"]), groups={k: np.array(v) for k, v in groups.items()},
        covariates={"age": np.full(8, 50, np.float32), "slice_position": positions}, masks=masks,
        mask_names=("background", *"abcdefg"), content_id="",
    )  # fmt: skip


def test_every_kind_of_condition_is_a_column() -> None:
    names = ["label", "site", "device", "sex", "age_band", "slice_position", "mask"]
    columns = condition_columns(rich(), names)
    assert list(columns) == names
    assert columns["label"].dtype == np.int64
    assert {columns[name].dtype.kind for name in names[1:5]} == {"U"}
    assert columns["slice_position"].dtype == np.float32
    assert columns["mask"].shape == (8, 2, 2)
    assert columns["mask"].dtype == np.uint8


def test_a_mask_and_a_position_that_are_not_there() -> None:
    with pytest.raises(UserError, match=r"cohort\.masks\.keep=true"):
        condition_columns(TRAIN, ["mask"])
    with pytest.raises(UserError, match="'slice_position'; these images have label, site"):
        condition_columns(TRAIN, ["slice_position"])
    with pytest.raises(UserError, match="'age'; these images have"):
        condition_columns(rich(), ["age"])


def test_masks_and_positions_come_together_from_an_image_of_the_combination() -> None:
    images = rich()
    plan = condition_plan(images, 80, ["label", "site", "slice_position", "mask"], seed=0)
    number = np.where(plan["mask"] == UNKNOWN_MASK, 5, plan["mask"])[:, 0, 0]
    assert np.bincount(number).tolist() == [10] * 8  # every image as often as every other
    np.testing.assert_array_equal(plan["label"], images.labels[number])
    np.testing.assert_array_equal(plan["site"], images.groups["site"][number])
    np.testing.assert_array_equal(plan["slice_position"], images.covariates["slice_position"][number])
    other = condition_plan(images, 80, ["label", "site", "slice_position", "mask"], seed=1)
    assert not np.array_equal(other["mask"], plan["mask"])
    short = condition_plan(images, 13, ["label", "site", "slice_position", "mask"], seed=0)
    for name, values in short.items():
        np.testing.assert_array_equal(plan[name][:13], values)


def test_masks_alone_are_a_plan() -> None:
    plan = condition_plan(rich(), 8, ["mask"], seed=0)
    assert sorted(plan["mask"][:, 0, 0].tolist()) == [0, 1, 2, 3, 4, 6, 7, UNKNOWN_MASK]


def test_a_uniform_plan_has_each_combination_equally_often() -> None:
    plan = condition_plan(TRAIN, 300, ["label", "site"], 0, PlanSpec.model_validate("uniform"))
    pairs, counts = np.unique(list(zip(plan["label"], plan["site"], strict=True)), axis=0, return_counts=True)
    assert pairs.tolist() == [["0", "a"], ["0", "b"], ["1", "b"]]
    assert counts.tolist() == [100, 100, 100]
    missing = condition_plan(rich(), 9, ["site"], 0, PlanSpec.model_validate("uniform"))
    assert sorted(missing["site"].tolist()) == [""] * 3 + ["a"] * 3 + ["b"] * 3  # missing is a value that train shows


def test_settings_of_a_plan_are_a_word_or_a_file(tmp_path: Path) -> None:
    assert SampleSpec().plan.rule == SampleSpec.model_validate({"plan": "real"}).plan.rule == "real"
    (tmp_path / "one.csv").write_text("label\nyes\n")
    (tmp_path / "two.csv").write_text("label\nyes\n")
    one, two = (PlanSpec.model_validate(str(tmp_path / name)) for name in ("one.csv", "two.csv"))
    assert one.to_key() == two.to_key()
    assert "one.csv" not in str(one.to_key())
    (tmp_path / "two.csv").write_text("label\nno\n")
    assert PlanSpec.model_validate(str(tmp_path / "two.csv")).to_key() != one.to_key()
    with pytest.raises(UserError, match="unifrom is neither real nor uniform"):
        SampleSpec.model_validate({"plan": "unifrom"})
    with pytest.raises(ValueError, match="path of a table"):
        PlanSpec(rule="table")


def test_a_table_with_counts_says_how_many_images(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("label,count\nyes,5\nno,7\n")
    (tmp_path / "w.csv").write_text("label,weight\nyes,5\nno,7\n")
    assert planned_images(PlanSpec.model_validate(str(tmp_path / "t.csv"))) == 12
    assert planned_images(PlanSpec.model_validate(str(tmp_path / "w.csv"))) is None
    assert planned_images(PlanSpec()) is None
    plan = condition_plan(TRAIN, 12, ["label"], 0, PlanSpec.model_validate(str(tmp_path / "t.csv")))
    assert np.bincount(plan["label"]).tolist() == [7, 5]
