"""The conditions of the synthetic images follow those of generator-train."""

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.generators.conditioning.plan import condition_plan
from synthassay.records import ImageSet


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


def test_no_condition_no_image_and_an_unknown_column() -> None:
    assert condition_plan(TRAIN, 10, [], 0) == {}
    assert len(condition_plan(TRAIN, 0, ["label"], 0)["label"]) == 0
    with pytest.raises(UserError, match=r"'device'; these images have label, site"):
        condition_plan(TRAIN, 10, ["device"], 0)
    with pytest.raises(UserError, match="no training image"):
        condition_plan(TRAIN.take(np.zeros(100, bool)), 10, ["label"], 0)
