"""Checked rows, directions and rows of distances."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from synthassay.errors import UserError
from synthassay.metrics import points
from synthassay.metrics.inputs import checked_rows, directions, distance_tiles


def random_rows(n, d, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def test_rows_are_double_and_units_are_codes_whatever_was_given():
    found = checked_rows("a", np.ones((3, 2), np.float16), ["p7", "p2", "p7"])
    assert found.values.dtype == torch.float64
    assert found.units.tolist() == [0, 1, 0]
    assert (len(found), found.dimension, found.n_units) == (3, 2, 2)
    assert checked_rows("a", torch.ones(3, 2)).units.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("features", "units", "message"),
    [
        (np.ones((1, 2)), None, "'x' has 1 rows of features; at least 2"),
        (np.ones((3, 4)), None, "'x' have 4 columns, expected 2 as 'y' has"),
        (np.ones((3, 2)), ["a", "b"], "'x' has 3 rows of features and 2 patients"),
        (np.array([[0.0, 1.0], [np.nan, 1.0]]), None, "'x' hold nan at row 1, column 0"),
        (np.ones((3, 2), int), None, "floating point"),
    ],
)
def test_an_error_names_the_set_and_what_is_wrong(features, units, message):
    with pytest.raises(UserError, match=message):
        checked_rows("x", features, units, like=checked_rows("y", np.ones((2, 2))), least=2)


def test_a_row_of_zeros_has_no_direction():
    values = np.ones((4, 3))
    values[2] = 0.0
    with pytest.raises(UserError, match="row 2 of 'x' is all zeros"):
        directions(checked_rows("x", values))
    assert directions(checked_rows("x", values[:2])).values.square().sum(dim=1).tolist() == pytest.approx([1.0, 1.0])


def test_tiles_hold_the_distances_and_nothing_between_equal_rows(monkeypatch):
    monkeypatch.setattr(points, "BLOCK_ENTRIES", 7 * 40)
    x, y = random_rows(33, 5) + 1000, random_rows(40, 5, seed=1) + 1000
    x[3] = y[20]
    tiles = list(distance_tiles(x, y))
    assert len(tiles) > 3
    assert torch.cat([tile for _, tile in tiles]).numpy() == pytest.approx(cdist(x, y) ** 2, rel=1e-9, abs=1e-9)
    assert tiles[0][1][3, 20] == 0.0
