"""Complementary halves, the effective number of images behind a share, and the interval made of both."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthassay.metrics.intervals import wilson
from synthassay.metrics.split_halves import (
    complementary_halves,
    effective_number,
    score_interval,
    split_half_interval,
)


@given(st.integers(2, 30), st.integers(1, 9), st.integers(0, 1000))
def test_columns_come_in_pairs_that_share_no_patient_and_leave_none_out(patients, replicates, seed):
    random = np.random.default_rng(seed)
    units = np.repeat(np.arange(patients), random.integers(1, 4, patients))
    kept = complementary_halves(units, replicates, random)
    assert kept.shape == (len(units), 1 + replicates)
    assert kept[:, 0].all()
    for column in range(1, 1 + replicates, 2):
        half = kept[:, column]
        assert len(np.unique(units[half])) in (patients // 2, (patients + 1) // 2)
        assert not set(units[half]) & set(units[~half])
        if column + 1 <= replicates:
            np.testing.assert_array_equal(kept[:, column + 1], ~half)


def test_no_rows_have_no_halves():
    assert complementary_halves(np.zeros(0, np.int64), 4, np.random.default_rng(0)).shape == (0, 5)


def shares(values, units, pairs=4000, seed=1):
    kept = complementary_halves(units, 2 * pairs, np.random.default_rng(seed))[:, 1:]
    return (values @ kept) / kept.sum(axis=0)


def test_independent_images_count_in_full():
    values = (np.arange(400) < 120).astype(float)
    found = effective_number(shares(values, np.arange(400)))
    assert found == pytest.approx(400, rel=0.06)


def test_images_of_a_patient_that_always_agree_count_once():
    values = np.repeat(np.arange(100) < 30, 5).astype(float)
    found = effective_number(shares(values, np.repeat(np.arange(100), 5)))
    assert found == pytest.approx(100, rel=0.06)


def crowded(points):
    """Share of points on a line with another one nearer than half the mean spacing: patients interact."""
    gaps = np.diff(np.sort(points), prepend=-np.inf, append=np.inf)
    return float(np.mean(np.minimum(gaps[1:], gaps[:-1]) < 0.5 / len(points)))


def test_the_variance_is_right_where_the_spread_of_half_samples_is_too_large():
    random, values, split, spread = np.random.default_rng(0), [], [], []
    for _ in range(400):
        points = random.random(100)
        kept = complementary_halves(np.arange(100), 60, random)
        found = np.array([crowded(points[column]) for column in kept.T])
        values.append(found[0])
        split.append(found[0] * (1 - found[0]) / effective_number(found[1:]))
        spread.append(found[1:].var(ddof=1))
    assert np.mean(split) == pytest.approx(np.var(values), rel=0.15)
    assert np.mean(spread) > 1.25 * np.var(values)


def test_a_last_half_without_complement_is_left_out():
    halves = np.array([0.5, 0.7, 0.6, 0.4])
    assert effective_number(np.append(halves, 0.9)) == effective_number(halves)


def test_halves_that_never_differ_have_no_effective_number():
    assert math.isnan(effective_number(np.ones(10)))


@given(st.integers(0, 40), st.integers(2, 60))
def test_with_many_units_it_is_wilsons_interval(successes, more):
    n = successes + more
    found = score_interval(successes / n, n, 10**7).ends()
    assert found == pytest.approx(wilson(successes, n).ends(), abs=1e-6)


@given(st.floats(0, 1), st.floats(0.5, 1e6), st.integers(2, 500))
def test_it_stays_inside_the_unit_interval_holds_the_value_and_has_a_width(value, effective, units):
    low, high = score_interval(value, effective, units).ends()
    assert 0 <= low <= value <= high <= 1
    assert high > low


def test_fewer_patients_widen_it_and_one_has_none():
    few, many = score_interval(0.9, 50, 10), score_interval(0.9, 50, 100)
    assert few.ends()[0] < many.ends()[0] < many.ends()[1] < few.ends()[1]
    assert score_interval(0.9, 50, 1).low is None


@pytest.mark.parametrize(("value", "effective"), [(1.2, 10), (-0.1, 10), (0.5, 0), (0.5, math.nan), (math.nan, 10)])
def test_what_is_no_share_is_refused(value, effective):
    with pytest.raises(ValueError, match="need a share"):
        score_interval(value, effective, 10)


def test_where_halves_agree_each_patient_counts_once():
    found = split_half_interval(1.0, np.ones(20), 30)
    assert found.ends() == score_interval(1.0, 30, 30).ends()
    assert found.method == "Wilson score on split halves of patients, t(29)"


@pytest.mark.parametrize("halves", [np.array([0.5, np.nan]), np.array([0.5])])
def test_undefined_halves_leave_no_interval(halves):
    found = split_half_interval(0.5, halves, 30)
    assert found.low is None
    assert "too few patients" in found.note


def test_it_covers_the_share_of_clustered_images_also_near_one():
    """Where most samples hold no failure at all, symmetric intervals cover in the other samples only."""
    random = np.random.default_rng(0)
    units, covered = np.repeat(np.arange(25), 3), 0
    for repeat in range(300):
        fails = random.random(25) < 0.05
        values = 1.0 - np.repeat(fails, 3) * (random.random(75) < 0.8)
        interval = split_half_interval(float(values.mean()), shares(values, units, 50, repeat), 25)
        covered += interval.ends()[0] <= 0.96 <= interval.ends()[1]
    assert 0.93 <= covered / 300 <= 0.995
