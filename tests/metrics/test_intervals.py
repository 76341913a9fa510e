"""Intervals against published values, closed forms and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from synthassay.metrics.intervals import (
    Interval,
    clopper_pearson,
    cluster_bootstrap,
    clustered_mean,
    clustered_mean_interval,
    newcombe_difference,
    no_interval,
    paired_cluster_bootstrap,
    resampled_rows,
    share_interval,
    t_interval,
    unit_codes,
    wilson,
)


@pytest.mark.parametrize(("successes", "n", "expected"), [(15, 148, (0.0624, 0.1605)), (1, 29, (0.0061, 0.1718))])
def test_wilson_gives_newcombes_published_values(successes, n, expected):
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3
    assert wilson(successes, n).ends() == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("hits", "n"), [(0, 39), (0, 381), (0, 3838)])
def test_zero_hits_certify_the_rate_that_the_privacy_reference_states(hits, n):
    limit = {39: 0.09, 381: 0.01, 3838: 0.001}[n]
    assert wilson(hits, n).ends()[1] <= limit < wilson(hits, n - 1).ends()[1] + 1e-12


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 10), (10, 10), (7, 350)])
def test_clopper_pearson_equals_scipys_exact_interval(successes, n):
    exact = stats.binomtest(successes, n).proportion_ci(method="exact")
    assert clopper_pearson(successes, n).ends() == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_newcombe_difference_gives_the_published_interval():
    # Newcombe 1998, "Interval estimation for the difference", table II, 56/70 - 48/80, method 10
    assert newcombe_difference(56, 70, 48, 80).ends() == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_newcombe_with_a_small_baseline_does_not_pass_what_was_never_observed():
    low, high = newcombe_difference(5, 100, 0, 20).ends()
    assert low < 0 < high
    assert high > 0.09


def test_counts_outside_their_range_are_refused():
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


def test_clustered_mean_of_equal_clusters_is_the_t_interval_of_cluster_means():
    values = np.random.default_rng(0).standard_normal((12, 4))
    low, high = clustered_mean_interval(values.ravel(), np.repeat(np.arange(12), 4)).ends()
    expected = stats.t.interval(0.95, 11, values.mean(), stats.sem(values.mean(axis=1)))
    assert (low, high) == pytest.approx(expected, rel=1e-12)


def test_images_of_one_patient_do_not_count_as_independent():
    values = np.repeat(np.random.default_rng(0).standard_normal(20), 10)
    clustered, independent = (
        clustered_mean(values, np.repeat(np.arange(20), 10)),
        clustered_mean(values, np.arange(200)),
    )
    assert clustered[1] == pytest.approx(independent[1] * math.sqrt(10), rel=0.05)
    assert clustered[2] == 20


def test_one_patient_has_no_interval():
    assert clustered_mean_interval(np.ones(5), np.zeros(5)).low is None
    assert t_interval(1.0, 0.1, 1).low is None
    with pytest.raises(ValueError, match="because"):
        no_interval("because").ends()


def test_share_at_the_boundary_keeps_a_width():
    interval = share_interval(0.0, Interval(0.0, 0.0, "x"), 30)
    assert interval.ends() == pytest.approx(clopper_pearson(0, 30).ends())
    assert share_interval(1.0, Interval(1.0, 1.0, "x"), 30).ends() == pytest.approx(clopper_pearson(30, 30).ends())
    assert share_interval(0.9, Interval(0.7, 1.1, "x"), 30).ends() == (0.7, 1.0)


def test_unit_codes_follow_first_appearance_and_not_the_names():
    assert unit_codes(["z", "a", "z", "m"]).tolist() == [0, 1, 0, 2]
    assert unit_codes(["k", "y", "k", "b"]).tolist() == [0, 1, 0, 2]


def test_a_resample_takes_whole_patients():
    units = np.array([0, 1, 1, 2, 2, 2, 0])
    rows = resampled_rows(units, np.random.default_rng(0))
    for unit, size in enumerate((2, 2, 3)):
        assert np.sum(units[rows] == unit) % size == 0


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_bootstrap_of_a_mean_agrees_with_the_clustered_t_interval(method):
    random = np.random.default_rng(1)
    units = np.repeat(np.arange(60), 3)
    values = np.repeat(random.standard_normal(60), 3) + 0.2 * random.standard_normal(180)
    found = cluster_bootstrap(lambda rows: float(values[rows].mean()), units, generator=random, method=method,
                              replicates=2000)  # fmt: skip
    assert found.ends() == pytest.approx(clustered_mean_interval(values, units).ends(), abs=0.05)


def test_bca_agrees_with_scipy_on_a_skewed_statistic():
    values = np.random.default_rng(3).exponential(size=80)
    ours = cluster_bootstrap(lambda rows: float(values[rows].var()), np.arange(80), replicates=4000,
                             generator=np.random.default_rng(0))  # fmt: skip
    theirs = stats.bootstrap((values,), np.var, method="BCa", n_resamples=4000, rng=np.random.default_rng(1))
    expected = theirs.confidence_interval
    assert ours.ends() == pytest.approx((expected.low, expected.high), rel=0.05)


def test_a_statistic_undefined_in_many_resamples_has_no_interval():
    found = cluster_bootstrap(lambda rows: 1.0 if 0 in rows else math.nan, np.arange(10), replicates=200,
                              generator=np.random.default_rng(0))  # fmt: skip
    assert found.low is None
    assert "200 resamples" in found.note


def test_pairing_removes_what_both_sides_share():
    random = np.random.default_rng(0)
    base = random.standard_normal(50)
    a, b = base + 0.1, base + 0.02 * random.standard_normal(50)
    low, high = paired_cluster_bootstrap(
        lambda rows: float(a[rows].mean()), lambda rows: float(b[rows].mean()), np.arange(50),
        generator=random, replicates=500,
    ).ends()  # fmt: skip
    assert 0.08 < low < 0.1 < high < 0.12
