"""Metrics of a whole set among the results: who is asked what, floors, absence with a reason, direction."""

from dataclasses import replace

import numpy as np
import pytest

from synthassay.metrics.catalogue import METRICS
from synthassay.metrics.fidelity import score_fidelity
from synthassay.metrics.set_level import COMPUTED
from synthassay.metrics.specs import SET_LEVEL, FidelitySpec

SPEC = FidelitySpec(replicates=20, permutations=100, groups=("label",))
AGAINST_TEST = {"clipped_density", "clipped_coverage", "kid_subsets", "mmd_rbf", "frechet_infinity", "vendi"}
AGAINST_TRAIN = {"mifid", "c_t", "tail_copies"}


@pytest.fixture
def sets(cohort):
    return {"test": cohort.real("test", 40, 3), "control": cohort.real("control", 30, 3),
            "train": cohort.real("train", 70, 3)}  # fmt: skip


def rows_of(subject, sets, **changes):
    rows = score_fidelity(subject, **(sets | {"spec": SPEC, "seed": 0} | changes))
    return [row for row in rows if row.metric in SET_LEVEL]


def test_every_name_is_computed_and_described():
    assert {name for group in COMPUTED for name in group} == set(SET_LEVEL)
    assert set(SET_LEVEL) < set(METRICS)


def test_each_is_asked_once_over_all_images_and_vendi_within_each_label_too(sets, cohort):
    rows = rows_of(cohort.synthetic("gan", 90), sets)
    overall = [row for row in rows if row.group == "all" and row.variant == "patient-aware"]
    assert {row.metric for row in overall if row.reference == "test"} == AGAINST_TEST
    assert {row.metric for row in overall if row.reference == "generator-train"} == AGAINST_TRAIN
    assert {row.metric for row in rows if row.group.startswith("label=")} == {"vendi"}
    for row in overall:
        assert row.status == "ok", (row.metric, row.note)
        assert row.floor is not None
        assert row.ci_low is None or row.ci_low <= row.value <= row.ci_high, row.metric


def test_the_oracle_equals_its_floor(sets):
    oracle = replace(sets["control"], name="oracle", origin="control")
    for row in rows_of(oracle, sets):
        if row.value is not None:
            assert (row.value, row.ci_low, row.ci_high) == (row.floor, row.floor_ci_low, row.floor_ci_high), row.metric


def test_copies_of_train_and_one_mode_go_the_right_way(sets, cohort, make_set):
    train = sets["train"].features
    copies = make_set("copies", train[np.arange(90) * 2], [f"c{i}" for i in range(90)])
    honest = cohort.synthetic("honest", 90)
    one = make_set("one", np.repeat(honest.features[:1], 90, axis=0) + 0.01 * honest.features,
                   [f"o{i}" for i in range(90)])  # fmt: skip
    values = {
        item.name: {r.metric: r.value for r in rows_of(item, sets) if r.group == "all" and r.variant == "patient-aware"}
        for item in (copies, honest, one)
    }
    assert values["copies"]["c_t"] < -3 < values["honest"]["c_t"]
    assert values["copies"]["tail_copies"] == 1.0
    assert values["honest"]["tail_copies"] < 0.1
    assert values["one"]["vendi"] < 0.2 * values["honest"]["vendi"]
    for metric in ("clipped_coverage", "clipped_density"):
        assert values["one"][metric] < values["honest"][metric]
    for metric in ("kid_subsets", "mmd_rbf", "frechet_infinity"):
        assert values["one"][metric] > values["honest"][metric]


def test_what_does_not_exist_for_a_set_is_absent_with_the_reason(make_cohort):
    source = make_cohort(dimension=200)
    sets = {name: source.real(name, 25, 3) for name in ("test", "control", "train")}
    row = next(r for r in rows_of(source.synthetic("gan", 75), sets) if r.metric == "frechet_infinity")
    assert (row.status, row.value) == ("absent", None)
    assert "n < d" in row.note
    black = source.synthetic("black", 75)
    black = replace(black, features=np.where(np.arange(75)[:, None] == 4, 0.0, black.features).astype(np.float32))
    row = next(r for r in rows_of(black, sets) if r.metric == "vendi" and r.group == "all")
    assert (row.status, row.value) == ("absent", None)
    assert "row 4" in row.note


def test_names_belong_to_encoders(sets, cohort):
    def names(encoder):
        renamed = {name: replace(item, encoder=encoder) for name, item in sets.items()}
        return {row.metric for row in rows_of(replace(cohort.synthetic("gan", 90), encoder=encoder), renamed)}

    assert "mmd_rbf" in names("toy")
    assert {"cmmd"} == names("clip-vitl14-336") & {"cmmd", "mmd_rbf"}
    assert "frd" not in names("toy")
    assert "frd" in names("radiomics-skimage")


def test_a_shorter_list_is_a_shorter_table(sets, cohort):
    spec = SPEC.model_copy(update={"set_level": ("vendi",)})
    assert {row.metric for row in rows_of(cohort.synthetic("gan", 90), sets, spec=spec)} == {"vendi"}
    with pytest.raises(ValueError, match="set_level must be distinct metrics"):
        FidelitySpec(set_level=("vendi", "inception score"))


def test_without_train_the_evidence_on_copying_is_insufficient(sets, cohort):
    rows = [r for r in rows_of(cohort.synthetic("gan", 90), sets, train=None) if r.reference == "generator-train"]
    assert {r.metric for r in rows} == AGAINST_TRAIN
    assert {(r.status, r.value) for r in rows} == {("insufficient evidence", None)}


@pytest.mark.parametrize("alike", ["real", "synthetic", "both"])
def test_sets_of_one_point_lose_no_result(sets, cohort, alike):
    def collapsed(item):
        return replace(item, features=np.repeat(item.features[:1], len(item), axis=0))

    subject = cohort.synthetic("gan", 90)
    if alike in ("real", "both"):
        sets = {name: collapsed(item) for name, item in sets.items()}
    if alike in ("synthetic", "both"):
        subject = collapsed(subject)
    rows = rows_of(subject, sets)
    assert {row.metric for row in rows} == AGAINST_TEST | AGAINST_TRAIN
    assert all(row.note for row in rows if row.value is None)
    assert all(np.isfinite(row.value) for row in rows if row.value is not None)


def test_c_t_against_other_test_patients_is_another_question(sets, cohort):
    subject = cohort.synthetic("gan", 90)
    first, second = (
        next(r for r in rows_of(subject, sets | {"test": test}) if r.metric == "c_t")
        for test in (sets["test"], cohort.real("another", 40, 3))
    )
    assert first.value != second.value
    assert dict(first.identity)["test_content"] != dict(second.identity)["test_content"]
