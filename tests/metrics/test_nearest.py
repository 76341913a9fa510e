"""The nearest row of another set: which it is, how far, and ties."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from synthassay.metrics import tiles
from synthassay.metrics.nearest import nearest_rows
from synthassay.metrics.points import centred_points


@pytest.mark.parametrize("limit", [0, tiles.DOUBLE_UP_TO])
def test_nearest_rows_and_exact_ties(limit, monkeypatch):
    monkeypatch.setattr(tiles, "DOUBLE_UP_TO", limit)
    monkeypatch.setattr(tiles, "tile_side", lambda *_: 7)
    random = np.random.default_rng(0)
    x, y = random.standard_normal((50, 6)), random.standard_normal((30, 6))
    x[5] = x[40]
    x[7] = y[2]
    y[9] = y[21]
    found, squares = nearest_rows(centred_points("x", x), centred_points("y", y))
    assert found.tolist() == cdist(x, y).argmin(axis=1).tolist()  # of equal distances, the lowest row
    assert squares.sqrt().numpy() == pytest.approx(cdist(x, y).min(axis=1), rel=1e-12)
    assert squares[5] == squares[40]
    assert squares[7] == 0.0
