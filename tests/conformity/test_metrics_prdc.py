"""Precision, recall, density and coverage in the classic variant equal prdc, count for count."""

import numpy as np
import pytest
from prdc import compute_prdc

from synthassay.metrics.prdc import SCORES, prdc


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize(("n", "m", "d"), [(50, 50, 8), (120, 60, 1280), (300, 500, 64)])
@pytest.mark.parametrize("kind", ["plain", "duplicates", "constant columns", "float16"])
def test_equal_counts(n, m, d, k, kind, capsys):
    random = np.random.default_rng(n + d)
    real, synthetic = random.standard_normal((n, d)) + 1, 1.1 * random.standard_normal((m, d)) + 1.05
    if kind == "duplicates":
        real[1::2], synthetic[1::2] = real[::2], synthetic[::2]
    if kind == "constant columns":
        real[:, : d // 2] = synthetic[:, : d // 2] = 4.0
    dtype = np.float16 if kind == "float16" else np.float64
    real, synthetic = real.astype(dtype), synthetic.astype(dtype)
    # The other tool adds float16 numbers in float32; it gets the same values in double.
    expected = compute_prdc(real.astype(np.float64), synthetic.astype(np.float64), k)
    found = prdc(real, synthetic, k=k, variant="classic", replicates=1)
    for score in SCORES:
        assert found.value(score) == pytest.approx(float(expected[score]), abs=1e-12), score
