"""Checks of features, exact zeros, and the errors that name array and row."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from synthassay.errors import UserError
from synthassay.metrics import points
from synthassay.metrics.points import centred_points, inner_products, polynomial_kernel, squared_distances

ALL = slice(None)


def test_a_value_that_is_not_finite_is_named_by_set_row_and_column():
    features = np.zeros((6, 4), np.float32)
    features[3, 2] = np.nan
    features[5, 0] = np.inf
    with pytest.raises(UserError, match=r"'gan' hold nan at row 3, column 2\n2 of 6 rows"):
        centred_points("gan", features)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_integers_are_refused_because_their_differences_may_wrap(dtype):
    with pytest.raises(UserError, match="must be floating point"):
        centred_points("raw pixels", np.zeros((6, 4), dtype))


def test_features_must_be_a_table():
    with pytest.raises(UserError, match=r"must be \[n, d\]"):
        centred_points("x", np.zeros(5))
    with pytest.raises(UserError, match="6 rows of features and 5 patients"):
        centred_points("x", np.zeros((6, 2)), np.arange(5))


def test_half_precision_is_computed_in_double():
    features = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float16)
    assert centred_points("x", features).vectors.dtype == np.float64


def test_distances_and_kernels_do_not_depend_on_the_centre():
    random = np.random.default_rng(0)
    x, y, centre = random.standard_normal((8, 5)) + 3, random.standard_normal((6, 5)) + 3, np.full(5, 3.0)
    a, b = centred_points("x", x, None, centre), centred_points("y", y, None, centre)
    products = inner_products(a, b, ALL)
    np.testing.assert_allclose(squared_distances(a, b, ALL, products), cdist(x, y, "sqeuclidean"), rtol=1e-12)
    np.testing.assert_allclose(polynomial_kernel(a, b, ALL, products), (x @ y.T / 5 + 1) ** 3, rtol=1e-12)


def test_equal_rows_are_at_distance_zero_exactly():
    x = np.random.default_rng(0).standard_normal((20, 300)) * 7
    a = centred_points("x", x, None, x.mean(axis=0) + 1)
    assert (np.diagonal(squared_distances(a, a, ALL, inner_products(a, a, ALL))) == 0).all()


def test_rows_are_ordered_by_patient_and_blocks_never_split_one(monkeypatch):
    units = np.array(["b", "a", "b", "c", "a", "b", "d"])
    points_ = centred_points("x", np.arange(14.0).reshape(7, 2), units)
    assert points_.units.tolist() == [0, 0, 0, 1, 1, 2, 3]
    assert points_.vectors[:3, 0].tolist() == [0.0, 4.0, 10.0]
    monkeypatch.setattr(points, "BLOCK_ENTRIES", 4)
    assert [(b.start, b.stop) for b in points_.blocks(1)] == [(0, 3), (3, 7)]
    assert [(b.start, b.stop) for b in points_.blocks(100)] == [(0, 3), (3, 5), (5, 6), (6, 7)]


def test_a_subset_keeps_its_patients_together():
    points_ = centred_points("x", np.arange(14.0).reshape(7, 2), np.array(list("babcabd")))
    taken = points_.take(np.array([6, 0, 4, 2]))
    assert taken.units.tolist() == [0, 0, 1, 2]
    assert taken.vectors[:, 0].tolist() == [0.0, 10.0, 8.0, 12.0]
