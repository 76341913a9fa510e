"""Fréchet radiomics distance: known Gaussians, units, constant features, standard error."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthassay.errors import UserError
from synthassay.metrics.frd import frd


def with_moments(n, mean, deviations, seed):
    """[n, d] rows whose sample mean and covariance (n-1) are exactly the given ones."""
    rows = np.random.default_rng(seed).standard_normal((n, len(mean)))
    rows -= rows.mean(axis=0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T
    return rows * deviations + mean


def sets(n=120, m=90, d=6, shift=0.4, seed=0):
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((d, d)) + 2 * np.eye(d)
    return random.standard_normal((n, d)) @ mixing + 5, 1.3 * random.standard_normal((m, d)) @ mixing + 5 + shift


def test_two_gaussians_with_known_moments():
    real = with_moments(60, np.array([10.0, -3.0, 0.0]), np.array([100.0, 2.0, 0.5]), 0)
    synthetic = with_moments(45, np.array([110.0, -3.0, 1.0]), np.array([100.0, 4.0, 0.5]), 1)
    in_units = 1.0 + (2.0 - 1.0) ** 2 + 4.0  # shift by one sd, twice the sd, shift by two sd
    assert frd(real, synthetic).value == pytest.approx(math.log(60 / 59 * in_units), rel=1e-10)


def test_it_is_asymmetric_as_the_real_set_gives_the_units():
    real, synthetic = sets()
    assert abs(frd(real, synthetic).value - frd(synthetic, real).value) > 0.1


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), scale=st.floats(1e-3, 1e3), offset=st.floats(-50, 50))
def test_units_and_order_of_features_and_rows_do_not_matter(seed, scale, offset):
    random = np.random.default_rng(seed)
    real, synthetic = sets(seed=seed)
    columns, scales = random.permutation(6), scale ** random.uniform(-1, 1, 6)
    expected = frd(real, synthetic)
    found = frd(*(random.permutation(rows * scales + offset)[:, columns] for rows in (real, synthetic)))
    assert found.value == pytest.approx(expected.value, abs=1e-7)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-5)


def test_more_noise_is_further_away():
    random = np.random.default_rng(0)
    real, fresh, noise = (random.standard_normal((200, 10)) for _ in range(3))
    values = [frd(real, fresh + level * noise).value for level in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)


def test_constant_features_are_left_out_and_named():
    real, synthetic = sets(d=4)
    names = ("mean", "sd", "contrast", "energy")
    expected = frd(real[:, :2], synthetic[:, :2])
    # 0.1 is not exact in binary: the mean of its copies differs from them by rounding, which must not become a unit.
    real[:, 2:], synthetic[:, 2] = 0.1, 0.1
    found = frd(real.astype(np.float32), synthetic, names=names)
    assert found.value == pytest.approx(expected.value, abs=1e-5)
    assert (
        found.note
        == "left out, constant over the real images: contrast, energy; not so in the synthetic images: energy"
    )
    assert found.interval().note == found.note
    assert found.interval().low is not None
    with pytest.raises(UserError, match="each of the 2 features is the same for all 120 real images"):
        frd(real[:, 2:], synthetic[:, 2:])


def test_equal_sets_are_at_minus_infinity_without_an_interval():
    real, _ = sets()
    found = frd(real, real)
    assert found.value == -math.inf
    assert found.interval().low is None
    assert "the sets coincide" in found.interval().note


def test_without_enough_rows_or_patients_there_is_a_value_and_no_interval():
    real, synthetic = sets(n=30, m=40, d=35)
    assert "n < d (30 < 35)" in frd(real, synthetic).interval().note
    assert math.isfinite(frd(real, synthetic).value)
    real, synthetic = sets()
    assert "2 patients" in frd(real, synthetic, real_units=np.zeros(120)).interval().note


@pytest.mark.parametrize(("shift", "patients"), [(0.5, 80), (3.0, 80)])
def test_the_standard_error_matches_repeated_sampling_of_patients(shift, patients):
    random = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(100):
        patient = np.repeat(random.standard_normal((patients, 4)), 3, axis=0)
        real = patient + 0.5 * random.standard_normal((3 * patients, 4))
        made = 1.4 * random.standard_normal((200, 4)) + shift
        found = frd(real, made, real_units=np.repeat(range(patients), 3))
        values.append(found.value)
        errors.append(found.standard_error)
    # With fixed units the error would be half of it at the larger shift.
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_the_standard_error_is_that_of_the_jackknife_where_features_follow_from_others():
    units = np.repeat(np.arange(60), 2)
    sums = [np.c_[rows, rows @ np.arange(1.0, 7.0), rows[:, 0]].astype(np.float32) for rows in sets(n=120, m=120)]
    found = frd(*sums, real_units=units, synthetic_units=units)
    variance = 0.0
    for side in (0, 1):
        left_out = [frd(*(x[units != u] if i == side else x for i, x in enumerate(sums))).value for u in range(60)]
        variance += 59 * np.var(left_out)
    assert found.standard_error == pytest.approx(math.sqrt(variance), rel=0.1)


def test_shares_name_the_feature_that_differs():
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((200, 3)), random.standard_normal((200, 3))
    synthetic[:, 1] += 4
    shares = frd(real, synthetic, names=["mean", "lbp", "contrast"]).shares
    assert shares[0][0] == "lbp"
    assert shares[0][1] > 0.95
    assert sum(share for _, share in shares) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b: (a, b[:, :5]), "6 and 5 columns"),
        (lambda a, b: (a[:1], b), "'real' has 1"),
        (lambda a, b: (a, np.where(np.arange(6) == 2, np.nan, b)), "'synthetic' hold nan at row 0, column 2"),
        (lambda a, b: (a.astype(np.uint8), b), "floating point"),
    ],
)
def test_input_that_cannot_be_compared_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        frd(*change(*sets()))


def test_names_and_patients_must_fit():
    real, synthetic = sets()
    with pytest.raises(UserError, match="5 names were given for 6 features"):
        frd(real, synthetic, names=list("abcde"))
    with pytest.raises(UserError, match="'real' has 120 rows of features and 3 patients"):
        frd(real, synthetic, real_units=[1, 2, 3])
