"""Tail count: the definition, slices of one patient, direction, intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from synthassay.errors import UserError
from synthassay.metrics import points
from synthassay.metrics.tail_copies import tail_copies


def test_it_equals_the_definition_written_out(monkeypatch):
    random = np.random.default_rng(0)
    train, synthetic = random.standard_normal((80, 5)), random.standard_normal((45, 5))
    units = np.repeat(np.arange(20), 4)
    for names, columns in ((None, 80), (units, 20)):
        distances = cdist(synthetic, train)
        if names is not None:
            distances = np.stack([distances[:, units == p].min(axis=1) for p in range(20)], axis=1)
        near = np.sort(distances, axis=1)[:, : min(50, columns)]
        expected = near[:, 0] / (0.5 * near.mean(axis=1))
        monkeypatch.setattr(points, "BLOCK_ENTRIES", 11 * 80)
        found = tail_copies(train, synthetic, train_units=names)
        assert found.ratios == pytest.approx(expected, rel=1e-9)
        assert found.value == (expected <= 1).mean()


def test_slices_of_one_patient_must_not_hide_a_copy():
    random = np.random.default_rng(0)
    patients = np.repeat(np.arange(30), 60)
    train = np.repeat(random.standard_normal((30, 64)), 60, axis=0) + 0.05 * random.standard_normal((1800, 64))
    copies = train[::60] + 0.05 * random.standard_normal((30, 64))
    assert tail_copies(train, copies, train_units=patients).value == 1.0
    assert tail_copies(train, copies).value == 0.0  # each copy has 50 near neighbours of its own patient


def test_exact_copies_count_even_where_everything_is_one_point():
    assert tail_copies(np.ones((10, 3)), np.ones((4, 3))).value == 1.0


def test_honest_images_fall_under_the_threshold_in_few_dimensions():
    random = np.random.default_rng(0)
    shares = [tail_copies(*random.standard_normal((2, 500, d))).value for d in (1, 2, 8, 64)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.8
    assert shares[-1] == 0.0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), n=st.integers(3, 60), d=st.integers(1, 12))
def test_order_rotation_and_scale_do_not_matter(seed, n, d):
    random = np.random.default_rng(seed)
    train, synthetic = random.standard_normal((n, d)), random.standard_normal((7, d))
    turn = 5 * np.linalg.qr(random.standard_normal((d, d)))[0]
    expected = tail_copies(train, synthetic).ratios
    assert tail_copies(random.permutation(train) @ turn, synthetic @ turn).ratios == pytest.approx(expected, rel=1e-7)


def test_noise_on_copies_lowers_it():
    train, noise = np.random.default_rng(0).standard_normal((2, 300, 32))
    shares = [tail_copies(train, train + level * noise).value for level in (0.0, 0.4, 0.7, 1.5)]
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0.0


def test_intervals_leave_room_at_zero_and_follow_patients():
    random = np.random.default_rng(0)
    train, fresh = random.standard_normal((2, 200, 64))
    low, high = tail_copies(train, fresh).interval().ends()
    assert low == 0.0
    assert 0.01 < high < 0.03
    half = np.r_[train[:100], fresh[:100]]
    narrow = tail_copies(train, half).interval().ends()
    wide = tail_copies(train, half, synthetic_units=np.repeat(np.arange(20), 10)).interval().ends()
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])
    assert "2 units" in tail_copies(train, fresh, synthetic_units=np.zeros(200)).interval().note


def test_two_patients_are_too_few():
    with pytest.raises(UserError, match="2 patients"):
        tail_copies(np.eye(4), np.eye(4), train_units=[0, 0, 1, 1])
