"""C_T equals its published definition written out with scipy's Mann-Whitney U, given the same start of k-means."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu
from sklearn.cluster import KMeans

from synthassay.metrics.c_t import c_t
from synthassay.seeding import numpy_generator
from tests.conformity.feature_pairs import KINDS, double, feature_pair


def written_out(train, test, synthetic, seed):
    train, test, synthetic = double(train, test, synthetic)
    if train.shape[1] > 64:
        mean = train.mean(axis=0)
        axes = np.linalg.svd(train - mean, full_matrices=False)[2][:64].T
        train, test, synthetic = ((part - mean) @ axes for part in (train, test, synthetic))
    start = int(numpy_generator("C_T cells", seed).integers(2**31))
    cells = KMeans(3, n_init=10, random_state=start).fit(train)
    of_train, of_test, of_synthetic = (cells.predict(part) for part in (train, test, synthetic))
    scores, weights = [], []
    for cell in range(3):
        known, fresh, made = train[of_train == cell], test[of_test == cell], synthetic[of_synthetic == cell]
        if not len(made) / len(synthetic) > 20 / len(synthetic):
            continue
        n, m = len(fresh), len(made)
        u, _ = mannwhitneyu(cdist(made, known).min(axis=1), cdist(fresh, known).min(axis=1), alternative="less")
        scores.append((u - (n * m / 2 - 0.5)) / np.sqrt(n * m * (n + m + 1) / 12))
        weights.append(n / len(test))
    return np.dot(weights, scores) / np.sum(weights)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "m", "d"), [(150, 160, 8), (400, 300, 100), (300, 200, 2048), (5000, 500, 16)])
def test_equal_values(n, m, d, kind):
    train, synthetic = feature_pair(n, m, d, kind)
    test = np.random.default_rng(1).permutation(feature_pair(n + 1, m, d, kind)[0])[: n // 2]
    found = c_t(train, test, synthetic, seed=5)
    assert len(found.cells) >= 2
    assert found.value == pytest.approx(written_out(train, test, synthetic, 5), rel=1e-6, abs=1e-9)
