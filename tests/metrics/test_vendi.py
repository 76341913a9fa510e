"""Vendi score: known numbers of different images, classes, invariances, standard error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthassay.errors import UserError
from synthassay.metrics.vendi import vendi, vendi_per_class


@pytest.mark.parametrize("d", [7, 40])
def test_orthogonal_groups_count_as_many_images(d):
    groups = np.repeat(np.eye(d)[:5], 4, axis=0)
    assert vendi(groups).value == pytest.approx(5.0, rel=1e-12)
    assert vendi(np.ones((9, d))).value == pytest.approx(1.0, abs=1e-12)


def test_both_forms_agree_at_the_seam():
    rows = np.random.default_rng(0).standard_normal((40, 40))
    wide = np.c_[rows, np.zeros((40, 30))]
    tall = vendi(np.r_[rows, rows])  # every image twice: the same score, from the d×d form
    assert vendi(wide).value == pytest.approx(vendi(rows).value, rel=1e-12)
    assert tall.value == pytest.approx(vendi(rows).value, rel=1e-12)


def test_each_class_is_scored_by_itself():
    random = np.random.default_rng(0)
    rows = np.r_[random.standard_normal((30, 6)), random.standard_normal((20, 6)) + 5]
    labels = np.array(["a"] * 30 + ["b"] * 20)
    found = vendi_per_class(rows, labels)
    assert list(found) == ["a", "b"]
    assert found["a"].value == vendi(rows[:30]).value
    assert found["b"].value == vendi(rows[30:]).value < found["a"].value
    assert [each.n for each in found.values()] == [30, 20]
    with pytest.raises(UserError, match="50 rows and labels of shape"):
        vendi_per_class(rows, labels[:4])


def test_patients_are_kept_together_within_a_class():
    random = np.random.default_rng(0)
    rows, patients = random.standard_normal((40, 6)), np.repeat(np.arange(10), 4)
    found = vendi_per_class(rows, np.tile([0, 1], 20), units=patients)
    assert found[1].units == 10
    assert found[1].standard_error == vendi(rows[1::2], units=patients[1::2]).standard_error


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), n=st.integers(3, 30), d=st.integers(2, 30))
def test_order_rotation_and_length_do_not_matter(seed, n, d):
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, d))
    turn = np.linalg.qr(random.standard_normal((d, d)))[0]
    expected, turned = vendi(rows), vendi(random.uniform(1, 5, (n, 1)) * random.permutation(rows) @ turn)
    assert turned.value == pytest.approx(expected.value, rel=1e-8)
    assert turned.standard_error == pytest.approx(expected.standard_error, rel=1e-6, abs=1e-8)
    assert 1.0 <= expected.value <= min(n, d) + 1e-9


def test_noise_and_more_images_raise_it_so_that_it_has_no_direction():
    random = np.random.default_rng(0)
    rows, noise = random.standard_normal((200, 64)) / (1 + np.arange(64)), random.standard_normal((200, 64))
    values = [vendi(rows + level * noise).value for level in (0.0, 0.1, 0.3, 1.0)]
    assert values == sorted(values)
    assert vendi(noise[:50]).value < vendi(noise[:100]).value < vendi(noise).value


@pytest.mark.parametrize(("patients", "each", "d"), [(100, 1, 16), (50, 3, 16), (50, 1, 256), (40, 3, 500)])
def test_the_standard_error_matches_repeated_sampling_of_patients(patients, each, d):
    random = np.random.default_rng(0)
    found = []
    for _ in range(150):
        rows = np.repeat(random.standard_normal((patients, d)), each, axis=0)
        rows = (rows + 0.3 * random.standard_normal(rows.shape)) / np.sqrt(1 + np.arange(d)) + 0.2
        found.append(vendi(rows, units=np.repeat(np.arange(patients), each)))
    spread = np.std([each.value for each in found])
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.2)


def test_an_interval_stays_in_range_and_is_absent_without_spread():
    low, high = vendi(np.random.default_rng(0).standard_normal((6, 3))).interval().ends()
    assert 1.0 <= low < high <= 3.0
    assert "contributes alike" in vendi(np.ones((5, 3))).interval().note
    assert "2 patients" in vendi(np.random.default_rng(0).standard_normal((5, 3)), units=np.zeros(5)).interval().note
    with pytest.raises(UserError, match="all zeros"):
        vendi(np.zeros((3, 3)))
