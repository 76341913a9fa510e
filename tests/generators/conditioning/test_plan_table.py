"""Tables of conditions that a user writes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.generators.conditioning.plan import condition_plan
from synthassay.generators.conditioning.plan_specs import PlanSpec
from synthassay.records import ImageSet

N = 12
TRAIN = ImageSet(
    name="t", origin="real", pixels=np.zeros((N, 1, 2, 2), np.uint8), ids=np.arange(N).astype(str),
    patients=np.arange(N).astype(str), labels=np.arange(N) % 2, label_names=("no", "yes", "never"),
    groups={"site": np.array(["a"] * 6 + ["b"] * 6), "sex": np.array(["F", "F", "M", "", "M", "F"] * 2)},
    covariates={"slice_position": np.linspace(0, 1, N).astype(np.float32)},
    masks=np.arange(N, dtype=np.uint8)[:, None, None] * np.ones((2, 2), np.uint8),
    mask_names=("background", *(f"c{i}" for i in range(N))),
)  # fmt: skip
Plan = Callable[..., dict[str, NDArray[Any]]]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    def of(text: str, condition_on: Sequence[str], n: int = 60, name: str = "plan.csv") -> dict[str, NDArray[Any]]:
        (tmp_path / name).write_text(text)
        return condition_plan(TRAIN, n, condition_on, 0, PlanSpec.model_validate(str(tmp_path / name)))

    return of


def test_rows_come_by_their_weight_and_empty_cells_are_missing(plan: Plan) -> None:
    made = plan("site\tlabel\tweight\nb\tyes\t2\na\t\t1\n\tno\t0\n", ["label", "site"], name="plan.tsv")
    assert list(made) == ["label", "site"]
    assert made["label"].dtype == np.int64
    pairs = list(zip(made["label"].tolist(), made["site"].tolist(), strict=True))
    assert {pair: pairs.count(pair) for pair in pairs} == {(1, "b"): 40, (-1, "a"): 20}
    assert abs(pairs[:9].count((1, "b")) - 6) <= 1


def test_a_combination_that_train_does_not_show_may_be_asked_for(plan: Plan) -> None:
    made = plan("label,sex,slice_position\nyes,F,0.25\nyes,,\n", ["label", "sex", "slice_position"], n=4)
    assert made["sex"].tolist().count("F") == 2
    assert made["slice_position"].dtype == np.float32
    assert sorted(map(str, made["slice_position"].tolist())) == ["0.25", "0.25", "nan", "nan"]


def test_what_the_table_does_not_say_comes_from_images_that_fit_a_row(plan: Plan) -> None:
    made = plan("label,site\nyes,b\nno,\n", ["mask", "label", "site", "sex", "slice_position"])
    assert list(made) == ["mask", "label", "site", "sex", "slice_position"]
    source = made["mask"][:, 0, 0].astype(int)
    np.testing.assert_array_equal(TRAIN.labels[source], made["label"])
    np.testing.assert_array_equal(TRAIN.groups["sex"][source], made["sex"])
    np.testing.assert_array_equal(TRAIN.covariates["slice_position"][source], made["slice_position"])
    assert set(source[made["label"] == 1].tolist()) == {7, 9, 11}
    assert np.bincount(source[made["label"] == 0], minlength=11)[::2].tolist() == [5] * 6
    assert set(made["site"][made["label"] == 0].tolist()) == {""}  # an empty cell stays missing


@pytest.mark.parametrize(("text", "match"), [
    ("label\n", "has no row"),
    ("label,shoe\nyes,1\n", "the column 'shoe', which is no condition.*\\nIts columns may be label, site"),
    ("count\n3\n", "has no condition as a column"),
    ("label\nyes\nmaybe\n", "line 3: no training image has label='maybe'.\\nThey have: no; yes"),
    ("label\nnever\n", "line 2: no training image has label='never'"),
    ("site\nc\n", "line 2: no training image has site='c'"),
    ("label,count\nyes,1.5\n", "count is '1.5'; give a whole number"),
    ("label,count\nyes,\n", "count is ''"),
    ("label,weight\nyes,-1\n", "weight is '-1'"),
    ("label,weight\nyes,inf\n", "weight is 'inf'"),
    ("label,count\nyes,0\n", "asks for nothing"),
    ("label,count,weight\nyes,1,1\n", "both a count and a weight"),
    ("label,mask\nyes,1\n", "a column mask"),
])  # fmt: skip
def test_mistakes_in_a_table_are_named(plan: Plan, text: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        plan(text, ["label", "site"])


@pytest.mark.parametrize(("text", "conditions", "match"), [
    ("slice_position\n1.5\n", ["slice_position"], "line 2: slice_position is '1.5'"),
    ("slice_position\nhigh\n", ["slice_position"], "slice_position is 'high'"),
    ("slice_position\n0.5\n", ["slice_position", "mask"], "masks belong to the slices"),
    ("label,sex,site\nyes,F,b\n", ["label", "site", "mask"], "the column 'sex'"),
    ("label,slice_position\nno,0.5\n", ["label"], "the column 'slice_position'"),
])  # fmt: skip
def test_mistakes_about_what_differs_from_image_to_image(
    plan: Plan, text: str, conditions: list[str], match: str
) -> None:
    with pytest.raises(UserError, match=match):
        plan(text, conditions)


def test_a_row_that_no_image_fits_has_no_mask(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("label,site\nno,a\nyes,b\n")
    asked = PlanSpec.model_validate(str(tmp_path / "p.csv"))
    part = TRAIN.take((TRAIN.labels == 0) | (TRAIN.groups["site"] == "a"))
    with pytest.raises(
        UserError, match=r"line 3: no training image has label='yes', site='b', so mask cannot"
    ) as found:
        condition_plan(part, 4, ["label", "site", "mask"], 0, asked)
    assert str(found.value).endswith("\nLeave the row out.")
    with pytest.raises(UserError, match="so sex cannot be taken from one") as found:
        condition_plan(part, 4, ["label", "site", "sex"], 0, asked)
    assert str(found.value).endswith("\nGive sex in columns of their own, or leave the row out.")
    assert len(condition_plan(part, 4, ["label", "site"], 0, asked)["site"]) == 4


def test_a_table_that_cannot_be_read(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "plan.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        condition_plan(TRAIN, 4, ["label"], 0, PlanSpec.model_validate(str(tmp_path / "plan.csv")))
