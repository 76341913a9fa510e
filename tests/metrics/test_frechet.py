"""Fréchet distance: known Gaussians, degenerate input, invariances, standard error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthassay.errors import UserError
from synthassay.metrics.frechet import frechet_distance


def with_moments(n, mean, deviations, seed):
    """[n, d] rows whose sample mean and covariance (n-1) are exactly the given ones."""
    rows = np.random.default_rng(seed).standard_normal((n, len(mean)))
    rows -= rows.mean(axis=0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T
    return rows * deviations + mean


def test_two_gaussians_with_known_moments():
    a = with_moments(60, np.zeros(4), np.array([1.0, 2.0, 3.0, 0.5]), 0)
    b = with_moments(45, np.array([1.0, 0.0, -2.0, 0.0]), np.array([2.0, 2.0, 1.0, 0.5]), 1)
    assert frechet_distance(a, b).value == pytest.approx(5.0 + 1.0 + 4.0, rel=1e-10)


def test_the_low_rank_route_equals_the_full_one():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((30, 8)), random.standard_normal((40, 8)) * 1.3 + 0.2
    basis = np.linalg.qr(random.standard_normal((100, 8)))[0].T
    wide, narrow = frechet_distance(a @ basis, b @ basis), frechet_distance(a, b)
    assert wide.value == pytest.approx(narrow.value, rel=1e-9)
    assert wide.standard_error is None
    assert "n < d (30 < 100)" in wide.note
    assert wide.interval().low is None


def test_as_many_rows_as_columns_are_too_few():
    random = np.random.default_rng(0)
    found = frechet_distance(random.standard_normal((40, 40)), random.standard_normal((60, 40)))
    assert found.standard_error is None
    assert "n = d (40 = 40)" in found.note


def test_identical_sets_are_at_zero_and_disjoint_ones_are_not():
    rows = np.random.default_rng(0).standard_normal((50, 6))
    assert frechet_distance(rows, rows).value == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(rows, rows + 10).value == pytest.approx(600.0, rel=1e-9)


def test_more_noise_is_further_away():
    random = np.random.default_rng(0)
    real, fresh, noise = (random.standard_normal((200, 10)) for _ in range(3))
    values = [frechet_distance(real, fresh + level * noise).value for level in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)


def test_constant_columns_change_nothing():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((40, 5)), random.standard_normal((50, 5)) + 0.5
    padded = [np.c_[rows, np.full((len(rows), 2), 3.0)] for rows in (a, b)]
    plain, wide = frechet_distance(a, b), frechet_distance(*padded)
    assert wide.value == pytest.approx(plain.value, rel=1e-9)
    assert wide.standard_error == pytest.approx(plain.standard_error, rel=1e-6)


@pytest.mark.parametrize("constant", ["real", "synthetic"])
def test_a_column_that_is_constant_on_one_side_leaves_no_standard_error(constant):
    random = np.random.default_rng(0)
    a, b = random.standard_normal((40, 3)), random.standard_normal((40, 3))
    (a if constant == "real" else b)[:, 0] = 0.0
    found = frechet_distance(a, b)
    assert found.standard_error is None
    assert "singular" in found.note
    assert np.isfinite(found.value)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), n=st.integers(3, 25), d=st.integers(2, 12))
def test_order_and_rotation_do_not_matter(seed, n, d):
    random = np.random.default_rng(seed)
    a, b = random.standard_normal((n, d)), random.standard_normal((n + 2, d)) + 0.3
    turn = np.linalg.qr(random.standard_normal((d, d)))[0]
    expected = frechet_distance(a, b).value
    turned = frechet_distance(random.permutation(a) @ turn, random.permutation(b) @ turn).value
    assert turned == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert frechet_distance(b, a).value == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_standard_error_matches_repeated_sampling_of_patients():
    random = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(150):
        patient = np.repeat(random.standard_normal((60, 4)), 3, axis=0)
        real = patient + 0.5 * random.standard_normal((180, 4))
        found = frechet_distance(real, 1.4 * random.standard_normal((180, 4)) + 0.5, real_units=np.repeat(range(60), 3))
        values.append(found.value)
        errors.append(found.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)


def test_other_numbers_of_columns_are_refused():
    with pytest.raises(UserError, match="3 columns, expected 4"):
        frechet_distance(np.zeros((5, 4)), np.zeros((5, 3)))
