"""Half-samples of patients, and radii in all of them against the definition."""

import numpy as np
import pytest
import torch

from synthassay.metrics.halfsampling import half_sample_interval, half_samples, replicate_radii


def test_halves_keep_whole_patients_and_half_of_them():
    units = np.repeat(np.arange(9), [1, 2, 3, 1, 2, 3, 1, 2, 3])
    kept = half_samples(units, 400, np.random.default_rng(0))
    assert kept[:, 0].all()
    for unit in range(9):
        assert (kept[units == unit] == kept[units == unit][0]).all()
    counts = np.array([len(np.unique(units[column])) for column in kept.T[1:]])
    assert set(counts.tolist()) == {4, 5}
    assert abs(kept[:, 1:].mean() - 0.5) < 0.02


def test_the_spread_of_a_mean_over_halves_is_its_standard_error():
    values = np.random.default_rng(0).standard_normal(81)
    kept = half_samples(np.arange(81), 4000, np.random.default_rng(1))[:, 1:]
    means = (values @ kept) / kept.sum(axis=0)
    assert means.std() == pytest.approx(values.std(ddof=1) / 9, rel=0.05)


def test_radii_of_every_half_equal_those_of_the_half_alone():
    random = np.random.default_rng(0)
    distances = random.random((30, 30))
    np.fill_diagonal(distances, np.inf)
    kept = half_samples(np.repeat(np.arange(10), 3), 50, random)
    radii = replicate_radii(torch.from_numpy(distances), torch.from_numpy(kept), 4).numpy()
    for replicate in range(kept.shape[1]):
        expected = np.sort(distances[:, kept[:, replicate]], axis=1)[:, 3]
        np.testing.assert_array_equal(radii[:, replicate], expected)


def test_radii_are_infinite_where_too_few_are_left():
    distances = np.full((2, 6), np.inf)
    distances[0, :4] = [4.0, 3.0, 2.0, 1.0]
    radii = replicate_radii(torch.from_numpy(distances), torch.ones((6, 1), dtype=torch.bool), 3)
    assert radii[:, 0].tolist() == [3.0, np.inf]


def test_replicates_that_are_undefined_leave_no_interval():
    interval = half_sample_interval(0.5, np.array([0.4, np.nan]), 30)
    assert interval.low is None
    assert "too few patients" in interval.note
