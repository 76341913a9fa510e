"""FD∞: bias taken off, whole patients, absence with a reason, standard error."""

import numpy as np
import pytest

from synthassay.metrics.frechet import frechet_distance
from synthassay.metrics.frechet_infinity import frechet_infinity, growing_subsets


def clustered(random, patients, each, d):
    """Images of unit variance of which half lies between patients."""
    centre = np.repeat(random.standard_normal((patients, d)), each, axis=0)
    return np.sqrt(0.5) * (centre + random.standard_normal(centre.shape)), np.repeat(np.arange(patients), each)


def test_the_last_count_is_the_frechet_distance_itself():
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((300, 16)), 1.2 * random.standard_normal((250, 16)) + 0.1
    found = frechet_infinity(real, synthetic)
    assert found.counts[-1] == 250
    assert found.distances[-1] == pytest.approx(frechet_distance(real, synthetic).value, rel=1e-9)
    assert found.value < found.distances[-1]


def test_the_bias_of_the_synthetic_count_goes():
    random = np.random.default_rng(0)
    real, truth = random.standard_normal((50_000, 16)), 16 * 0.3**2
    values = []
    for _ in range(20):
        found = frechet_infinity(real, random.standard_normal((200, 16)) + 0.3)
        values.append((found.value, found.distances[-1]))
    extrapolated, plain = np.mean(values, axis=0)
    assert plain - truth > 0.2
    assert abs(extrapolated - truth) < 0.1 * (plain - truth) + 3 * np.std(values, axis=0)[0] / np.sqrt(20)


def test_images_of_one_patient_go_together_or_the_line_cannot_see_the_bias():
    random = np.random.default_rng(0)
    real = random.standard_normal((20_000, 8))
    whole, split, plain = [], [], []
    for seed in range(20):
        synthetic, patients = clustered(random, 40, 8, 8)
        found = frechet_infinity(real, synthetic, synthetic_units=patients, seed=seed)
        whole.append(found.value)
        split.append(frechet_infinity(real, synthetic, seed=seed).value)
        plain.append(found.distances[-1])
    assert abs(np.mean(whole)) < 0.3 * np.mean(plain)
    assert np.mean(split) > 0.5 * np.mean(plain)


def test_subsets_are_whole_units_near_the_wanted_counts():
    units = np.repeat(np.arange(50), np.arange(50) % 5 + 1)
    subsets = growing_subsets(units, np.random.default_rng(0))
    assert len(subsets[-1]) == len(units) == 150
    for chosen, wanted in zip(subsets, np.linspace(15, 150, 15), strict=True):
        assert abs(len(chosen) - wanted) <= 3
        assert len(chosen) == np.isin(units, units[chosen]).sum()


def test_it_is_absent_where_covariances_are_singular():
    random = np.random.default_rng(0)
    for n, m in ((20, 60), (60, 20)):
        found = frechet_infinity(random.standard_normal((n, 30)), random.standard_normal((m, 30)))
        assert found.value is None
        assert "n < d (20 < 30)" in found.note
        assert "n < d" in found.interval().note


def test_it_is_absent_where_there_is_no_line():
    random = np.random.default_rng(0)
    found = frechet_infinity(
        random.standard_normal((30, 2)), random.standard_normal((30, 2)), synthetic_units=np.repeat([0, 1], 15)
    )
    assert found.value is None
    assert "different counts" in found.note


def test_counts_below_d_are_said():
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((300, 40)), random.standard_normal((300, 40))
    assert "the smallest count, 30, is below d = 40" in frechet_infinity(real, synthetic).note
    assert frechet_infinity(real[:, :20], synthetic[:, :20]).note == ""


def test_the_seed_decides_and_the_rotation_does_not():
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((200, 6)), 1.3 * random.standard_normal((150, 6))
    turn = np.linalg.qr(random.standard_normal((6, 6)))[0]
    first = frechet_infinity(real, synthetic, seed=1)
    assert frechet_infinity(real, synthetic, seed=1).value == first.value
    assert frechet_infinity(real, synthetic, seed=2).value != first.value
    assert frechet_infinity(real @ turn, synthetic @ turn, seed=1).value == pytest.approx(first.value, rel=1e-8)


def test_more_noise_is_further_away():
    random = np.random.default_rng(0)
    real, fresh, noise = (random.standard_normal((400, 8)) for _ in range(3))
    values = [frechet_infinity(real, fresh + level * noise).value for level in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)


def test_constant_columns_change_nothing_and_one_sided_ones_leave_no_error():
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((200, 6)), 1.3 * random.standard_normal((150, 6))
    padded = [np.c_[side, np.full((len(side), 2), 3.0)] for side in (real, synthetic)]
    plain, wide = frechet_infinity(real, synthetic), frechet_infinity(*padded)
    assert wide.value == pytest.approx(plain.value, rel=1e-9)
    assert wide.standard_error == pytest.approx(plain.standard_error, rel=1e-6)
    real[:, 0] = 1.0
    assert "singular" in frechet_infinity(real, synthetic).interval().note


@pytest.mark.parametrize("each", [1, 3])
def test_the_standard_error_matches_repeated_sampling_of_patients(each):
    random = np.random.default_rng(0)
    found = []
    for seed in range(120):
        synthetic, patients = clustered(random, 80, each, 4)
        real, of_real = clustered(random, 60, each, 4)
        found.append(frechet_infinity(real, 1.4 * synthetic + 0.5, real_units=of_real, synthetic_units=patients,
                                      seed=seed))  # fmt: skip
    spread = np.std([each.value for each in found])
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.2)
