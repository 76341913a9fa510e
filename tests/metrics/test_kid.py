"""KID: brute force, who counts as a pair, direction, standard error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthassay.errors import UserError
from synthassay.metrics import tiles
from synthassay.metrics.kid import kid


def brute_force(x, y, x_units, y_units):
    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def mean_across(a, units):
        return kernel(a, a)[units[:, None] != units[None, :]].mean()

    return mean_across(x, x_units) + mean_across(y, y_units) - 2 * kernel(x, y).mean()


def clustered(seed, patients, each, d, shift=0.0):
    random = np.random.default_rng(seed)
    rows = np.repeat(random.standard_normal((patients, d)), each, axis=0) + 0.3 * random.standard_normal(
        (patients * each, d)
    )
    return rows + shift, np.repeat(np.arange(patients), each)


def test_both_variants_equal_the_sum_over_pairs_written_out():
    x, x_units = clustered(0, 7, 3, 5)
    y, y_units = clustered(1, 9, 2, 5, shift=0.4)
    order = np.random.default_rng(2).permutation(len(x))
    aware = kid(x[order], y, real_units=x_units[order], synthetic_units=y_units)
    classic = kid(x, y, real_units=x_units, synthetic_units=y_units, patient_aware=False)
    assert aware.value == pytest.approx(brute_force(x, y, x_units, y_units), rel=1e-10)
    assert classic.value == pytest.approx(brute_force(x, y, np.arange(21), np.arange(18)), rel=1e-10)


def test_tiles_give_the_same_as_one_block(monkeypatch):
    x, x_units = clustered(0, 30, 3, 6)
    y, y_units = clustered(1, 40, 2, 6)
    whole = kid(x, y, real_units=x_units, synthetic_units=y_units)
    monkeypatch.setattr(tiles, "tile_side", lambda *_: 7)
    tiled = kid(x, y, real_units=x_units, synthetic_units=y_units)
    assert tiled.value == pytest.approx(whole.value, rel=1e-10)
    assert tiled.standard_error == pytest.approx(whole.standard_error, rel=1e-10)


def test_near_duplicates_of_a_patient_push_the_classic_value_up():
    x, units = clustered(0, 40, 5, 16)
    y, _ = clustered(1, 200, 1, 16)
    aware, classic = (kid(x, y, real_units=units, patient_aware=flag).value for flag in (True, False))
    assert classic > aware


def test_more_noise_is_further_away():
    random = np.random.default_rng(0)
    real, fresh, noise = (random.standard_normal((200, 10)) for _ in range(3))
    values = [kid(real, fresh + level * noise).value for level in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), n=st.integers(4, 25), d=st.integers(1, 12))
def test_order_rotation_and_sides_do_not_matter(seed, n, d):
    random = np.random.default_rng(seed)
    a, b = random.standard_normal((n, d)), random.standard_normal((n + 3, d)) + 0.3
    turn = np.linalg.qr(random.standard_normal((d, d)))[0]
    expected = kid(a, b)
    turned = kid(random.permutation(b) @ turn, random.permutation(a) @ turn)
    assert turned.value == pytest.approx(expected.value, rel=1e-9, abs=1e-9)
    assert turned.standard_error == pytest.approx(expected.standard_error, rel=1e-7, abs=1e-9)


def test_the_standard_error_matches_repeated_sampling_away_from_the_null():
    found = [
        kid(*clustered(seed, 50, 3, 4)[:1], clustered(10_000 + seed, 150, 1, 4, shift=0.7)[0],
            real_units=np.repeat(range(50), 3))
        for seed in range(150)
    ]  # fmt: skip
    spread = np.std([each.value for each in found])
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.25)


def test_one_patient_cannot_be_compared_across_patients():
    x, _ = clustered(0, 1, 6, 3)
    with pytest.raises(UserError, match="two patients"):
        kid(x, x, real_units=np.zeros(6), synthetic_units=np.arange(6))


def test_features_of_any_size_are_computed_in_either_precision(monkeypatch):
    random = np.random.default_rng(0)
    real, synthetic = random.standard_normal((60, 5)), random.standard_normal((60, 5)) + 0.1
    real[:, 0], synthetic[:, 0] = 3e8 * real[:, 0], 3e8 * synthetic[:, 0]  # a raw energy among other features
    double = kid(real, synthetic)
    monkeypatch.setattr(tiles, "DOUBLE_UP_TO", 0)
    single = kid(real, synthetic)
    assert np.isfinite(double.value)
    assert single.value == pytest.approx(double.value, rel=1e-5)
