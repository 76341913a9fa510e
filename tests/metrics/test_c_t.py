"""C_T: direction, cells that do not count, standard error, what it cannot see."""

import warnings

import numpy as np
import pytest

from synthassay.metrics.authenticity import authenticity
from synthassay.metrics.c_t import c_t
from synthassay.metrics.tail_copies import tail_copies


def normal(n, d, seed):
    return np.random.default_rng(seed).standard_normal((n, d))


def test_order_and_sign_of_the_known_cases():
    train, test, fresh = normal(1500, 64, 0), normal(800, 64, 1), normal(800, 64, 2)
    values = {
        "fifty patients copied": c_t(train, test, np.repeat(train[:50], 16, axis=0)).value,
        "half copied": c_t(train, test, np.r_[train[:400], fresh[:400]]).value,
        "fresh": c_t(train, test, fresh).value,
        "underfit": c_t(train, test, 1.5 * fresh).value,
    }
    assert list(values) == sorted(values, key=values.get)
    assert abs(values["fresh"]) < 2
    # U has reached its ends: Z = ±√(3nm/(n+m+1)) in each of three cells of about 800/3 images a side.
    assert values["fifty patients copied"] == pytest.approx(-np.sqrt(3 * 800 / 3 / 2), rel=0.03)
    assert values["underfit"] == pytest.approx(np.sqrt(3 * 800 / 3 / 2), rel=0.03)
    assert values["half copied"] == pytest.approx(values["fifty patients copied"] / 2, rel=0.15)


def test_four_thousand_images_a_side_give_the_reference_numbers():
    train, test, fresh = normal(2000, 8, 0), normal(4000, 8, 1), normal(4000, 8, 2)
    assert c_t(train, test, np.repeat(train[:50], 80, axis=0)).value == pytest.approx(-44.7, abs=0.3)
    assert c_t(train, test, np.r_[train, fresh[:2000]]).value == pytest.approx(-22.7, abs=1.5)


def test_one_copy_in_a_hundred_moves_the_tail_count_and_no_mean():
    train, test, fresh = normal(2000, 256, 0), normal(1000, 256, 1), normal(1000, 256, 2)
    planted = fresh.copy()
    planted[:10] = train[:10]
    moved = authenticity(train, fresh).value - authenticity(train, planted).value
    assert 0.005 < moved < 0.011
    assert c_t(train, test, fresh).value - c_t(train, test, planted).value < 0.5
    assert tail_copies(train, fresh).value == 0.0
    assert tail_copies(train, planted).flagged.tolist() == [True] * 10 + [False] * 990


def test_cells_that_cannot_count_are_left_out_and_named():
    random = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
    blobs = lambda counts: np.concatenate([c + random.standard_normal((n, 2)) for c, n in zip(centres, counts)])  # noqa: B905
    train = blobs([100, 100, 100])
    found = c_t(train, blobs([40, 40, 0]), blobs([60, 20, 60]))
    assert [(cell.n_test, cell.n_synthetic) for cell in found.cells] == [(40, 60)]
    assert found.value == found.cells[0].z
    assert "20 synthetic images, more than 20 are needed" in found.note
    assert "100 training and 0 test images" in found.note
    nothing = c_t(train, blobs([40, 0, 0]), blobs([0, 60, 0]))
    assert nothing.value is None
    assert nothing.interval().low is None
    assert "training and 0 test" in nothing.interval().note


def test_a_training_set_of_one_point_is_one_cell():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = c_t(np.ones((5, 3)), normal(30, 3, 0), normal(30, 3, 1))
    assert len(found.cells) == 1


def test_copies_on_both_sides_are_ties_whatever_the_number_of_columns():
    train = normal(100, 100, 0)
    copies = np.tile(train, (2, 1))
    assert c_t(train, copies, copies[::-1]).value == pytest.approx(0.0, abs=0.05)


def test_few_training_rows_in_many_columns_have_fewer_axes():
    assert c_t(normal(30, 200, 0), normal(100, 200, 1), normal(100, 200, 2)).value is not None


def test_rotation_and_the_order_of_test_and_synthetic_images_do_not_matter():
    random = np.random.default_rng(0)
    train, test, synthetic = normal(200, 6, 0), normal(150, 6, 1), 1.1 * normal(150, 6, 2)
    turn = np.linalg.qr(random.standard_normal((6, 6)))[0]
    expected = c_t(train, test, synthetic)
    turned = c_t(train @ turn, random.permutation(test) @ turn, random.permutation(synthetic) @ turn)
    assert turned.value == pytest.approx(expected.value, rel=1e-9)
    assert turned.standard_error == pytest.approx(expected.standard_error, rel=1e-9)


def test_more_noise_goes_from_copying_to_underfitting():
    train, test, noise = normal(300, 16, 0), normal(300, 16, 1), normal(300, 16, 2)
    values = [c_t(train, test, train + level * noise).value for level in (0.0, 0.3, 1.0, 2.0)]
    assert values == sorted(values)
    assert values[0] < -10
    assert values[-1] > 5


@pytest.mark.parametrize(("each", "scale"), [(1, 1.0), (3, 1.0), (3, 1.3)])
def test_the_standard_error_matches_repeated_sampling_of_patients(each, scale):
    random = np.random.default_rng(0)

    def images(patients):
        centre = np.repeat(random.standard_normal((patients, 6)), each, axis=0)
        return centre + 0.3 * random.standard_normal(centre.shape), np.repeat(np.arange(patients), each)

    train, _ = images(200)
    found = []
    for _ in range(120):
        (test, of_test), (synthetic, of_synthetic) = images(100), images(100)
        found.append(c_t(train, test, scale * synthetic, test_units=of_test, synthetic_units=of_synthetic))
    spread = np.std([each.value for each in found])
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.2)
    if scale == 1.0:  # the Z of images that are no patients of their own is no z: its spread is not known beforehand
        assert np.mean([low <= 0 <= high for low, high in (each.interval().ends() for each in found)]) > 0.85


def test_one_patient_has_no_interval():
    found = c_t(normal(60, 3, 0), normal(60, 3, 1), normal(60, 3, 2), test_units=np.zeros(60))
    assert found.value is not None
    assert "2 patients" in found.interval().note
