"""KID over subsets: its expectation, both routes, what it says of itself, standard error."""

import numpy as np
import pytest

from synthassay.metrics import kid_subsets as module
from synthassay.metrics.inputs import checked_rows
from synthassay.metrics.kid import kid
from synthassay.metrics.kid_subsets import definition, kid_of_subsets, kid_subsets


def sets(n, m, d, seed=0, shift=0.3):
    random = np.random.default_rng(seed)
    return random.standard_normal((n, d)), 1.1 * random.standard_normal((m, d)) + shift


def test_it_estimates_the_classic_value_over_all_pairs():
    real, synthetic = sets(300, 250, 12)
    found = kid_subsets(real, synthetic, size=100, subsets=400)
    whole = kid(real, synthetic, patient_aware=False)
    assert found.value == pytest.approx(whole.value, abs=4 * found.sd / 20)
    assert found.standard_error == pytest.approx(whole.standard_error, rel=0.1)


def test_subsets_of_whole_sets_are_that_value():
    real, synthetic = sets(90, 90, 5)
    found = kid_subsets(real, synthetic)
    whole = kid(real, synthetic, patient_aware=False)
    assert found.size == 90
    assert found.value == pytest.approx(whole.value, rel=1e-9)
    assert found.sd == pytest.approx(0.0, abs=1e-12)
    assert found.standard_error == pytest.approx(whole.standard_error, rel=1e-6)


def test_both_routes_give_the_same(monkeypatch):
    real, synthetic = sets(80, 70, 9)
    draws = [np.stack([np.random.default_rng(i).permutation(n)[:30] for i in range(6)]) for n in (70, 80)]
    x, y = checked_rows("synthetic", synthetic), checked_rows("real", real)
    found = kid_of_subsets(x, y, *draws)
    for route in ("_all_pairs", "_pair_by_pair"):
        for name in ("_all_pairs", "_pair_by_pair"):
            monkeypatch.setattr(module, name, getattr(module, route))
        again = kid_of_subsets(x, y, *draws)
        assert again.values == pytest.approx(found.values, rel=1e-9)
        assert again.standard_error == pytest.approx(found.standard_error, rel=1e-9)
        monkeypatch.undo()


def test_the_definition_says_the_size_that_the_sets_allow():
    assert "100 subsets of 1000" in definition(5000, 1000)
    assert "100 subsets of 300" in definition(5000, 300)
    assert definition(300, 5000) != definition(5000, 1000)


def test_the_seed_decides():
    real, synthetic = sets(60, 60, 4)
    values = [kid_subsets(real, synthetic, size=20, seed=seed).value for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]


def test_rotation_does_not_matter_and_noise_goes_further():
    real, synthetic = sets(200, 200, 6)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((6, 6)))[0]
    found = kid_subsets(real, synthetic, size=50).value
    assert kid_subsets(real @ turn, synthetic @ turn, size=50).value == pytest.approx(found, rel=1e-9)
    noise = np.random.default_rng(4).standard_normal(synthetic.shape)
    values = [kid_subsets(real, synthetic + level * noise, size=50).value for level in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)


@pytest.mark.parametrize(("n", "size", "shift"), [(300, 300, 0.5), (300, 60, 0.5), (2000, 60, 0.5), (2000, 60, 0.0)])
def test_the_standard_error_matches_repeated_sampling(n, size, shift):
    found = []
    for seed in range(60):
        real, synthetic = (np.random.default_rng([seed, side]).standard_normal((n, 6)) for side in (0, 1))
        found.append(kid_subsets(real, synthetic + shift, size=size, subsets=50, seed=seed))
    spread = np.std([each.value for each in found])
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.3)


def test_patients_with_several_images_widen_the_interval():
    random = np.random.default_rng(0)
    real = np.repeat(random.standard_normal((30, 4)), 6, axis=0) + 0.1 * random.standard_normal((180, 4))
    synthetic = random.standard_normal((180, 4)) + 0.5
    patients = np.repeat(np.arange(30), 6)
    by_image = kid_subsets(real, synthetic)
    by_patient = kid_subsets(real, synthetic, real_units=patients)
    assert by_patient.value == by_image.value
    assert by_patient.standard_error > 1.3 * by_image.standard_error
    assert "2 patients" in kid_subsets(real, synthetic, real_units=np.zeros(180)).interval().note
