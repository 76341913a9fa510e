"""FD∞ equals the published recipe on the same subsets: scipy's matrix root, and the intercept of NumPy's line."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from synthassay.metrics.frechet_infinity import frechet_infinity, growing_subsets
from synthassay.seeding import numpy_generator
from tests.conformity.feature_pairs import double, feature_pair


def scipy_distance(a, b):
    first, second = np.cov(a.T), np.cov(b.T)
    gap = a.mean(axis=0) - b.mean(axis=0)
    return gap @ gap + np.trace(first + second) - 2 * np.trace(sqrtm(first @ second)).real


@pytest.mark.parametrize("kind", ["plain", "duplicates", "float16"])
@pytest.mark.parametrize(("n", "m", "d"), [(50, 60, 4), (200, 400, 16), (300, 700, 64), (500, 5000, 8)])
def test_equal_values(n, m, d, kind):
    real, synthetic = feature_pair(n, m, d, kind)
    found = frechet_infinity(real, synthetic, seed=2)
    real, synthetic = double(real, synthetic)
    subsets = growing_subsets(np.arange(m), numpy_generator("FD infinity", 2))
    counts = np.linspace(min(5000, m // 10), m, 15).astype(int)
    assert [len(chosen) for chosen in subsets] == counts.tolist() == found.counts.tolist()
    enough = counts > d  # a singular matrix has no root that scipy can find
    expected = np.array([scipy_distance(real, synthetic[chosen]) for chosen in np.array(subsets, object)[enough]])
    assert found.distances[enough] == pytest.approx(expected, rel=1e-6)
    assert found.value == pytest.approx(np.polyfit(1 / counts, found.distances, 1)[1], rel=1e-6)
