"""The Vendi score equals the vendi-score package's, in the primal and in the dual form, to 1e-6."""

import pytest
from vendi_score import vendi as package

from synthassay.metrics.vendi import vendi
from tests.conformity.feature_pairs import KINDS, double, feature_pair


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "d"), [(50, 8), (300, 64), (60, 2048), (64, 64), (5000, 16)])
def test_equal_scores(n, d, kind):
    features, _ = feature_pair(n, 2, d, kind)
    (values,) = double(features)
    found = vendi(features).value
    if d < 2048:
        assert found == pytest.approx(package.score_dual(values), rel=1e-6)
    if n < 5000:
        values /= (values**2).sum(axis=1, keepdims=True) ** 0.5
        assert found == pytest.approx(package.score_K(values @ values.T), rel=1e-6)
