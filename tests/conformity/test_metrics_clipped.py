"""Clipped Density and Coverage equal the paper's definitions written out with scipy, to rounding."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import betabinom

from synthassay.metrics.clipped import clipped_density_coverage, expected_coverage
from tests.conformity.feature_pairs import KINDS, double, feature_pair


def expected(images, n, k):
    """Mean of min(count, k)/k, the count of ``images`` in a ball that holds k of the n-1 other real images."""
    if images < k:
        return 0.0
    counts = np.arange(images + 1)
    return (np.minimum(counts, k) * betabinom.pmf(counts, images, k, n - k)).sum() / k


def written_out(real, synthetic, k):
    real, synthetic = double(real, synthetic)
    among, across = cdist(real, real), cdist(real, synthetic)
    np.fill_diagonal(among, np.inf)
    radius = np.sort(among, axis=1)[:, k - 1]
    clipped = np.minimum(radius, np.median(radius))[:, None] * (1 + 1e-12)
    density, own = (np.minimum((d <= clipped).sum(axis=0) / k, 1).mean() for d in (across, among))
    coverage = np.minimum((across < radius[:, None] * (1 - 1e-12)).sum(axis=1) / k, 1).mean()
    calibration = [expected(i, len(real), k) for i in range(len(synthetic) + 1)]
    return min(1.0, density / own), np.searchsorted(calibration, coverage) / (len(synthetic) + 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("n", "m", "d", "k"), [(50, 60, 8, 5), (50, 60, 8, 4), (300, 200, 64, 5), (60, 50, 2048, 3), (2000, 300, 16, 5)]
)
def test_equal_scores(n, m, d, k, kind):
    real, synthetic = feature_pair(n, m, d, kind)
    found = clipped_density_coverage(real, synthetic, k=k, replicates=1)
    density, coverage = written_out(real, synthetic, k)
    assert found.density.value == pytest.approx(density, rel=1e-9)
    assert found.coverage.value == pytest.approx(coverage, rel=1e-9)


@pytest.mark.parametrize(("n", "k"), [(20, 5), (5000, 5), (300, 1), (6, 5)])
def test_the_urn_gives_the_beta_binomial_mean(n, k):
    found = expected_coverage(np.full(n, n - 1), 400, k)
    for images in (0, 1, k, k + 1, 50, 400):
        assert found[images] == pytest.approx(expected(images, n, k), rel=1e-9)
