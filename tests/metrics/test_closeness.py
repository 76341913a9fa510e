"""closer_to_train: flags sets made of training images, and neither honest sets nor the oracle."""

from dataclasses import replace

import numpy as np
import pytest

from synthassay.metrics.closeness import VERDICT, exchanges, mean_contrasts, patient_distances
from synthassay.metrics.fidelity import closer_to_train
from synthassay.metrics.points import centred_points
from synthassay.metrics.specs import FidelitySpec

SPEC = FidelitySpec(permutations=300)


@pytest.fixture
def sets(cohort):
    return {"train": cohort.real("train", 60, 4), "test": cohort.real("test", 25, 4),
            "control": cohort.real("control", 25, 4)}  # fmt: skip


def row_for(subject, sets, **changes):
    return closer_to_train(subject, **(sets | {"spec": SPEC, "seed": 0} | changes))[0]


def test_distances_are_to_the_nearest_image_of_each_patient():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((5, 3)), random.standard_normal((8, 3))
    units = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    expected = [[np.linalg.norm(y[units == u] - row, axis=1).min() for u in range(3)] for row in x]
    np.testing.assert_allclose(patient_distances(centred_points("x", x), centred_points("y", y, units)), expected)


def test_the_first_labelling_is_the_truth_and_the_contrast_follows_the_definition():
    labels = exchanges(3, 2, 50, np.random.default_rng(0))
    assert labels[:, 0].tolist() == [True, True, True, False, False]
    assert (labels.sum(axis=0) == 3).all()
    distances = np.array([[1.0, 5.0, 5.0, 3.0, 4.0], [0.0, 1.0, 1.0, 0.0, 1.0]])
    assert mean_contrasts(distances, labels)[0] == pytest.approx((3 - 1) / (3 + 1) / 2)


def test_exchanging_train_and_test_changes_the_sign():
    random = np.random.default_rng(0)
    distances, labels = random.random((20, 9)) + 0.1, exchanges(5, 4, 30, random)
    np.testing.assert_allclose(mean_contrasts(distances, labels), -mean_contrasts(distances, ~labels), rtol=1e-12)


@pytest.mark.parametrize("kind", ["copies", "noisy copies", "blend"])
def test_sets_made_of_training_images_are_flagged(sets, cohort, make_set, kind):
    features = sets["train"].features.astype(np.float64)
    chosen = cohort.random.integers(0, len(features), 80)
    rows = features[chosen]
    if kind == "noisy copies":
        rows = rows + 0.3 * cohort.random.standard_normal(rows.shape)
    if kind == "blend":
        order = np.argsort(((rows[:, None] - features[None]) ** 2).sum(axis=-1), axis=1)
        rows = (rows + features[order[:, 5]]) / 2  # the sixth nearest is another patient's image
    row = row_for(make_set(kind, rows, [f"u{i}" for i in range(80)]), sets)
    assert row.value > 0.05
    assert row.ci_low > 0
    assert row.note == VERDICT
    assert (row.status, row.n_patients) == ("ok", 25)


def test_the_oracle_is_not_flagged_and_equals_its_floor(sets):
    oracle = replace(sets["control"], name="oracle", origin="control")
    row = row_for(oracle, sets)
    assert (row.value, row.ci_low, row.ci_high, row.floor, row.note) == (0.0, 0.0, 0.0, 0.0, "")


def test_honest_and_bad_sets_are_flagged_at_most_as_often_as_the_level(make_cohort, make_set):
    flags = {"honest": 0, "off": 0}
    for seed in range(40):
        source = make_cohort(seed=seed, dimension=12)
        sets = {name: source.real(name, p, 3) for name, p in (("train", 40), ("test", 20), ("control", 20))}
        honest = source.synthetic("honest", 60)
        off = make_set("off", honest.features * 0.5 + 1.0, [f"o{i}" for i in range(60)])
        for name, subject in (("honest", honest), ("off", off)):
            flags[name] += row_for(subject, sets, spec=FidelitySpec(permutations=100)).ci_low > 0
    assert flags["honest"] <= 4  # 2.5% of 40 is 1; more than 4 has a chance under 0.4%
    assert flags["off"] <= 4


def test_without_train_it_says_so(sets):
    row = row_for(sets["control"], sets, train=None)
    assert (row.status, row.value) == ("insufficient evidence", None)
    assert "not known which patients" in row.note
    assert "generator.trained_on" in row.note


def test_few_patients_are_descriptive(sets):
    small = sets["test"].take(np.arange(40))
    row = row_for(sets["train"], sets, test=small)
    assert (row.status, row.n_patients) == ("descriptive", 10)
    assert row.ci_low > 0


def test_too_few_control_patients_or_images_give_no_value(sets):
    assert "2 patients in each" in row_for(sets["train"], sets, control=sets["control"].take(np.arange(3))).note
    assert row_for(sets["train"].take(np.zeros(0, np.int64)), sets).note == "the set has no images"
