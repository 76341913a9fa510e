"""CMMD equals its published formula written out in NumPy, to 1e-6."""

import numpy as np
import pytest

from synthassay.metrics.cmmd import cmmd
from tests.conformity.feature_pairs import KINDS, double, feature_pair


def written_out(real, synthetic):
    x, y = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in double(real, synthetic))

    def mean_kernel(a, b):
        squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * a @ b.T
        return np.exp(-squares / (2 * 10.0**2)).mean()

    return 1000 * (mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "m", "d"), [(50, 60, 8), (400, 300, 768), (60, 50, 2048)])
def test_equal_values(n, m, d, kind):
    real, synthetic = feature_pair(n, m, d, kind)
    assert cmmd(real, synthetic).value == pytest.approx(written_out(real, synthetic), rel=1e-6)


def test_equal_values_over_many_tiles():
    real, synthetic = feature_pair(5000, 300, 16, "plain")
    assert cmmd(real, synthetic).value == pytest.approx(written_out(real, synthetic), rel=1e-6)
