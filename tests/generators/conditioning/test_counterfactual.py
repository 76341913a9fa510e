"""One condition changes through its values; seeds and everything else stay as in the synthetic set."""

from dataclasses import replace

import numpy as np
import pytest

from synthassay.generators.conditioning.counterfactual import MOST_VALUES, SWEEP, contrasts
from synthassay.generators.conditioning.plan import condition_plan
from synthassay.generators.conditioning.plan_specs import CounterfactualSpec, PlanSpec
from synthassay.records import UNKNOWN_MASK, ImageSet
from synthassay.seeding import derive_seed

N = 20


def train() -> ImageSet:
    ids = np.arange(N).astype(str)
    masks = np.zeros((N, 2, 2), np.uint8)
    masks[15:, 0, 0] = 1  # label 1 has class 1 in its mask
    masks[0] = UNKNOWN_MASK
    groups = {"device": np.array(["x"] * 12 + ["y"] * 7 + [""]), "sex": np.array(["F"] * N)}
    return ImageSet(
        name="t", origin="real", pixels=np.zeros((N, 1, 2, 2), np.uint8), ids=ids, patients=ids, groups=groups,
        labels=np.array([0] * 15 + [1] * 5), label_names=("clear", "lesion"), masks=masks, mask_names=("no", "tumour"),
        covariates={"slice_position": np.linspace(0.2, 0.8, N).astype(np.float32)},
    )  # fmt: skip


def drawn(*condition_on: str, images: ImageSet | None = None, **asked):
    spec = CounterfactualSpec(**{"seeds": 4, **asked})
    return {c.column: c for c in contrasts(images or train(), condition_on, spec, PlanSpec(), 3)}


def test_every_condition_of_two_values_has_a_contrast_and_the_mask_has_none() -> None:
    made = drawn("label", "device", "sex", "slice_position", "mask")
    assert list(made) == ["label", "device", "slice_position"]
    assert made["label"].values == ["clear", "lesion"]
    assert made["device"].values == ["x", "y"]  # the most frequent first; a missing device is no value
    assert len(made["slice_position"].values) == SWEEP
    assert made["slice_position"].reference == SWEEP // 2
    assert list(drawn("label", "device", columns=("device",))) == ["device"]
    assert drawn("label", "device", columns=()) == {}


def test_only_the_column_changes_and_seeds_are_those_of_the_set() -> None:
    made = drawn("label", "device", "mask")["device"]
    plan = condition_plan(train(), 4, ("label", "device", "mask"), 3)
    assert made.conditions["device"].tolist() == ["x", "y", "x"] * 4
    for name in ("label", "mask"):
        np.testing.assert_array_equal(made.conditions[name], np.repeat(plan[name], 3, axis=0))
    seeds = made.seeds.reshape(4, 3)
    assert (seeds[:, 0] == seeds[:, 1]).all()
    assert seeds[:, 0].tolist() == [derive_seed("image", 3, i) for i in range(4)]
    assert len(np.unique(seeds)) == 8
    assert made.others == [["clear", "lesion"][label] for label in plan["label"]]


def test_combinations_that_training_did_not_show_are_marked() -> None:
    made = drawn("label", "device", seeds=8)["device"]
    labels = made.conditions["label"].reshape(8, 3)[:, 0]
    assert set(labels.tolist()) == {0, 1}
    assert made.unseen.tolist() == [[label == 1, False] for label in labels]  # no lesion on device x
    alone = drawn("device", seeds=8)["device"]
    assert not alone.unseen.any()


def test_a_label_against_the_mask_of_another_is_not_seen_together() -> None:
    made = drawn("label", "mask", seeds=12)["label"]
    masks = made.conditions["mask"].reshape(12, 3, 2, 2)[:, 0]
    for unseen, mask in zip(made.unseen, masks, strict=True):
        known = mask.max() != UNKNOWN_MASK
        assert unseen.tolist() == [known and mask.max() == 1, known and mask.max() == 0]


def test_the_rarest_of_many_values_are_left_out_and_counted() -> None:
    counts = np.arange(MOST_VALUES + 2, 0, -1)
    devices = np.repeat([f"d{i}" for i in range(len(counts))], counts)
    n = len(devices)
    ids = np.arange(n).astype(str)
    many = ImageSet(name="t", origin="real", pixels=np.zeros((n, 1, 2, 2), np.uint8), ids=ids, patients=ids,
                    labels=np.zeros(n, np.int64), label_names=("a",), groups={"device": devices})  # fmt: skip
    made = drawn("device", images=many)["device"]
    assert (made.values, made.left_out) == ([f"d{i}" for i in range(MOST_VALUES)], 2)


@pytest.mark.parametrize("positions", [np.nan, 0.5])
def test_positions_that_are_missing_or_all_one_are_no_sweep(positions: float) -> None:
    images = replace(train(), covariates={"slice_position": np.full(N, positions, np.float32)}, content_id="")
    assert drawn("slice_position", images=images) == {}
