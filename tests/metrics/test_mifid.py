"""MiFID: the penalty, its direction, what it cannot see, intervals."""

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.metrics.frechet import frechet_distance
from synthassay.metrics.mifid import mifid


def population(n, seed, d=8):
    return np.random.default_rng(seed).standard_normal((n, d))


def near_copies(train, n, seed, noise=0.1):
    random = np.random.default_rng(seed)
    return train[random.integers(0, len(train), n)] + noise * random.standard_normal((n, train.shape[1]))


def test_honest_images_pay_no_penalty_and_near_copies_do():
    train = population(300, 0)
    honest = mifid(train, population(200, 1) + 0.2)
    assert not honest.penalised
    assert honest.value == frechet_distance(train, population(200, 1) + 0.2).value
    copied = mifid(train, near_copies(train, 200, 1))
    assert copied.penalised
    assert copied.value == pytest.approx(copied.frechet.value / copied.distance, rel=1e-9)


def test_the_distance_is_from_synthetic_to_training_images():
    train = population(300, 0)
    some = train[:3] + 1e-6
    assert mifid(train, some).distance < 1e-9
    assert mifid(some, train).distance > 0.1


def test_the_sign_and_the_length_of_a_vector_do_not_matter_to_the_distance():
    train = population(50, 0)
    assert mifid(train, -7 * train[:20]).distance == 0.0


def test_all_of_the_training_set_has_no_distance_at_all():
    train = population(60, 0)
    assert mifid(train, train[::-1]).value == 0.0


def test_order_and_rotation_do_not_matter():
    random = np.random.default_rng(3)
    train, turn = population(80, 0), np.linalg.qr(random.standard_normal((8, 8)))[0]
    synthetic = near_copies(train, 60, 1)
    expected = mifid(train, synthetic)
    turned = mifid(random.permutation(train) @ turn, random.permutation(synthetic) @ turn)
    assert turned.value == pytest.approx(expected.value, rel=1e-7)


def test_a_few_copies_do_not_show():
    train, synthetic = population(300, 0), population(200, 1)
    planted = synthetic.copy()
    planted[:2] = train[:2]
    assert not mifid(train, planted).penalised


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_the_interval_covers_with_and_without_the_penalty(shift):
    random = np.random.default_rng(0)
    train = population(400, 0, d=12)
    found = []
    for seed in range(80):
        synthetic = near_copies(train, 150, seed, 0.15) if shift == 0.0 else random.standard_normal((150, 12)) + shift
        found.append(mifid(train, 1.5 * synthetic + 0.2 * (shift == 0.0)))
    truth = np.mean([each.value for each in found])
    ends = [each.interval().ends() for each in found]
    assert all(each.penalised for each in found) == (shift == 0.0)
    assert np.mean([low <= truth <= high for low, high in ends]) >= 0.9


def test_there_is_no_interval_where_the_value_jumps_or_the_distance_has_none():
    train = population(300, 0)
    levels = [mifid(train, near_copies(train, 60, 1, noise)) for noise in np.linspace(0.3, 1.0, 30)]
    assert any("across the threshold" in each.interval().note for each in levels)
    wide = np.random.default_rng(0).standard_normal((20, 40))
    assert "n < d" in mifid(wide, wide[:10] + 5).interval().note
    assert "2 patients" in mifid(train, train[:50] + 1, synthetic_units=np.zeros(50)).interval().note


def test_a_row_of_zeros_is_named():
    train = population(20, 0)
    train[4] = 0
    with pytest.raises(UserError, match="row 4 of 'train' is all zeros"):
        mifid(train, population(20, 1))
