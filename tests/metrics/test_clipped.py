"""Clipped Density and Coverage: shares of good images, outliers, patients, intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from synthassay.errors import UserError
from synthassay.metrics import points
from synthassay.metrics.clipped import clipped_density_coverage, definition, expected_coverage
from synthassay.metrics.prdc import prdc


def normal(n, d, seed):
    return np.random.default_rng(seed).standard_normal((n, d))


@pytest.mark.parametrize("bad", [0.0, 0.3, 0.6, 1.0])
def test_both_are_the_share_of_good_images(bad):
    values = []
    for seed in range(5):
        synthetic = normal(400, 8, 100 + seed)
        synthetic[: int(400 * bad)] += 100
        found = clipped_density_coverage(normal(400, 8, seed), synthetic, replicates=1)
        values.append((found.density.value, found.coverage.value))
    assert np.mean(values, axis=0) == pytest.approx([1 - bad, 1 - bad], abs=0.06)


def test_an_outlier_among_real_images_lends_no_ball():
    real, bad = normal(300, 8, 0), 30 + normal(100, 8, 1)
    real[0] = 35.0  # its classic ball reaches back to the real images and holds all the bad ones
    assert prdc(real, bad, replicates=1).value("precision") == 1.0
    assert clipped_density_coverage(real, bad, replicates=1).density.value == 0.0


def test_many_images_in_the_densest_place_cannot_pass_one_and_cover_nothing():
    real, synthetic = normal(300, 8, 0), np.zeros((300, 8))
    synthetic[150:] = 50.0
    found = clipped_density_coverage(real, synthetic, replicates=1)
    assert prdc(real, synthetic, replicates=1).value("density") > 1.2
    assert found.density.value < 1.0
    assert found.coverage.value < 0.1


def test_a_set_that_is_better_than_real_is_one_and_a_lost_mode_is_not_covered():
    random = np.random.default_rng(0)
    modes = np.repeat([[0.0] * 6, [20.0] * 6], 200, axis=0)
    real, one_mode = modes + random.standard_normal((400, 6)), random.standard_normal((400, 6))
    found = clipped_density_coverage(real, one_mode, replicates=1)
    assert found.density.value > 0.9
    assert found.coverage.value < 0.65


def test_images_of_the_same_patient_are_no_neighbours(make_cohort):
    cohort = make_cohort(dimension=8, within=0.05)
    real, patients, _ = cohort.images(60, 6)
    fresh, _, _ = cohort.images(60, 6)
    aware = clipped_density_coverage(real, fresh, real_units=patients, replicates=1)
    classic = clipped_density_coverage(real, fresh, real_units=patients, patient_aware=False, replicates=1)
    # Balls that reach a patient's own slices only hold nobody else's.
    assert classic.coverage.value < 0.1
    assert aware.coverage.value > 0.5
    assert aware.density.value > classic.density.value
    alone = clipped_density_coverage(real, fresh, replicates=1)
    assert (classic.density.value, classic.coverage.value) == (alone.density.value, alone.coverage.value)


def test_the_patient_aware_scores_equal_their_definition_written_out():
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((60, 4)), random.standard_normal((50, 4))
    units, k = np.repeat(np.arange(24), np.r_[np.full(12, 1), np.full(12, 4)]), 3
    among, across = cdist(real, real), cdist(real, synthetic)
    among[units[:, None] == units[None, :]] = np.inf
    radius = np.sort(among, axis=1)[:, k - 1]
    clipped = np.minimum(radius, np.median(radius))[:, None] * (1 + 1e-12)
    density, own = (np.minimum((d <= clipped).sum(axis=0) / k, 1).mean() for d in (across, among))
    coverage = np.minimum((across < radius[:, None] * (1 - 1e-12)).sum(axis=1) / k, 1).mean()
    others = 60 - np.bincount(units)[units]
    calibration = np.mean([expected_coverage(np.array([n]), 50, k) for n in others], axis=0)
    found = clipped_density_coverage(real, synthetic, k=k, real_units=units, replicates=1)
    assert found.density.value == pytest.approx(min(1, density / own), rel=1e-12)
    assert found.coverage.value == pytest.approx(np.searchsorted(calibration, coverage) / 51, rel=1e-12)


def test_tiles_give_the_same_as_one_block(monkeypatch):
    real, synthetic, units = normal(90, 5, 0), 1.2 * normal(70, 5, 1), np.repeat(np.arange(30), 3)
    whole = clipped_density_coverage(real, synthetic, real_units=units, replicates=30)
    monkeypatch.setattr(points, "BLOCK_ENTRIES", 7 * 90)
    tiled = clipped_density_coverage(real, synthetic, real_units=units, replicates=30)
    for score in ("density", "coverage"):
        assert getattr(tiled, score).value == getattr(whole, score).value
        assert getattr(tiled, score).replicates.tolist() == getattr(whole, score).replicates.tolist()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), n=st.integers(6, 40), m=st.integers(5, 40), d=st.integers(2, 12))
def test_order_rotation_and_scale_do_not_matter(seed, n, m, d):
    random = np.random.default_rng(seed)
    real, synthetic = random.standard_normal((n, d)), random.standard_normal((m, d))
    turn = 3 * np.linalg.qr(random.standard_normal((d, d)))[0]
    expected = clipped_density_coverage(real, synthetic, replicates=1)
    turned = clipped_density_coverage(random.permutation(real) @ turn, random.permutation(synthetic) @ turn,
                                      replicates=1)  # fmt: skip
    assert turned.density.value == pytest.approx(expected.density.value, rel=1e-12)
    assert turned.coverage.value == pytest.approx(expected.coverage.value, rel=1e-12)


def test_more_noise_is_worse():
    real, fresh, noise = normal(300, 8, 0), normal(300, 8, 1), normal(300, 8, 2)
    found = [clipped_density_coverage(real, fresh + level * noise, replicates=1) for level in (0.0, 0.7, 1.5, 3.0)]
    for score in ("density", "coverage"):
        values = [getattr(each, score).value for each in found]
        assert values == sorted(values, reverse=True)


def test_intervals_are_as_wide_as_repeated_sampling_of_patients():
    random = np.random.default_rng(0)
    found = []
    for seed in range(50):
        centre = np.repeat(random.standard_normal((50, 8)), 3, axis=0)
        real = centre + random.standard_normal(centre.shape)
        synthetic = np.sqrt(2) * random.standard_normal((150, 8))
        synthetic[:75] += 50
        found.append(clipped_density_coverage(real, synthetic, real_units=np.repeat(np.arange(50), 3), replicates=60,
                                              seed=seed))  # fmt: skip
    for score in ("density", "coverage"):
        scores = [getattr(each, score) for each in found]
        values = np.array([each.value for each in scores])
        errors = np.mean([each.replicates.std(ddof=1) for each in scores])
        assert 0.8 * values.std() < errors < 1.6 * values.std()
        ends = np.array([each.interval().ends() for each in scores])
        assert np.mean((ends[:, 0] <= values.mean()) & (values.mean() <= ends[:, 1])) >= 0.9
        assert ends.min() >= 0.0
        assert ends.max() <= 1.0


def test_a_perfect_score_keeps_an_open_end():
    found = clipped_density_coverage(normal(200, 4, 0), 0.5 * normal(200, 4, 1)).density
    assert found.value == 1.0
    low, high = found.interval().ends()
    assert low < 0.99
    assert high == 1.0


def test_too_few_neighbours_are_refused_and_too_few_patients_leave_no_interval():
    with pytest.raises(UserError, match="too few for the 5-th neighbour among other patients"):
        clipped_density_coverage(normal(9, 3, 0), normal(9, 3, 1), real_units=[0] * 5 + [1] * 4)
    with pytest.raises(UserError, match="'synthetic' has 4 rows of features; at least 5"):
        clipped_density_coverage(normal(9, 3, 0), normal(4, 3, 1))
    found = clipped_density_coverage(normal(12, 3, 0), normal(12, 3, 1), real_units=np.repeat(np.arange(4), 3))
    assert "fewer than k neighbours" in found.density.interval().note
    assert 0.0 <= found.density.value <= 1.0


def test_definitions_say_what_was_done():
    assert definition("clipped_density", 5) != definition("clipped_coverage", 5)
    assert "k=3" in definition("clipped_density", 3)
