"""Checks of features, exact zeros, and the errors that name array and row."""

import numpy as np
import pytest
import torch

from synthassay.errors import UserError
from synthassay.metrics import points
from synthassay.metrics.points import centred_points, checked_features, exact_squares


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


def test_features_stay_as_they_were_given_and_are_read_in_double():
    features = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float16)
    held = centred_points("x", features)
    assert held.source.dtype == torch.float16
    assert np.shares_memory(held.source.numpy(), features)
    assert held.vectors().dtype == torch.float64
    np.testing.assert_array_equal(held.vectors().numpy(), features.astype(np.float64))


def test_a_large_offset_is_subtracted_before_rounding_to_single():
    features = 1e6 + np.random.default_rng(0).standard_normal((50, 4))
    held = centred_points("x", features, None, features.mean(axis=0))
    np.testing.assert_allclose(held.vectors(dtype=torch.float32).numpy(), held.vectors().numpy(), rtol=1e-6)


@pytest.mark.parametrize("kind", ["read-only", "reversed", "big-endian", "tensor", "bfloat16"])
def test_any_float_array_or_tensor_is_taken(kind):
    plain = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    given = {"read-only": plain.copy(), "reversed": plain[::-1], "big-endian": plain.astype(">f4"),
             "tensor": torch.from_numpy(plain), "bfloat16": torch.from_numpy(plain).bfloat16()}[kind]  # fmt: skip
    if kind == "read-only":
        given.setflags(write=False)
    expected = np.asarray(given.double() if isinstance(given, torch.Tensor) else given, np.float64)
    np.testing.assert_array_equal(checked_features("x", given), expected)


def test_distances_by_subtraction():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((8, 5)) + 3, random.standard_normal((6, 5)) + 3
    a, b = centred_points("x", x, None, np.full(5, 3.0)), centred_points("y", y, None, np.full(5, 3.0))
    i, j = torch.tensor([0, 7, 3]), torch.tensor([5, 0, 3])
    np.testing.assert_allclose(exact_squares(a, i, b, j).numpy(), ((x[i] - y[j]) ** 2).sum(axis=1), rtol=1e-12)


def test_rows_are_ordered_by_patient_and_read_in_blocks(monkeypatch):
    units = np.array(["b", "a", "b", "c", "a", "b", "d"])
    held = centred_points("x", np.arange(14.0).reshape(7, 2), units)
    assert held.units.tolist() == [0, 0, 0, 1, 1, 2, 3]
    assert held.vectors()[:3, 0].tolist() == [0.0, 4.0, 10.0]
    monkeypatch.setattr(points, "VECTOR_ENTRIES", 6)
    assert [(rows.start, rows.stop) for rows, _ in held.blocks()] == [(0, 3), (3, 6), (6, 7)]
    assert torch.cat([block for _, block in held.blocks()]).equal(held.vectors())


def test_a_subset_keeps_its_patients_together():
    held = centred_points("x", np.arange(14.0).reshape(7, 2), np.array(list("babcabd")))
    taken = held.take(np.array([6, 0, 4, 2]))
    assert taken.units.tolist() == [0, 0, 1, 2]
    assert taken.vectors()[:, 0].tolist() == [0.0, 10.0, 8.0, 12.0]
