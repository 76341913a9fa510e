"""95% intervals cover the value expected at this n, at 40 patients with 3 images (benchmarks hold the long version)."""

import numpy as np
import pytest

from synthassay.metrics.kid import kid
from synthassay.metrics.prdc import SCORES, prdc

REPEATS = 200


@pytest.fixture(scope="module")
def intervals():
    random = np.random.default_rng(0)
    centres = random.standard_normal((4, 16))
    found = {name: [] for name in ("kid", *SCORES)}
    for repeat in range(REPEATS):
        patient = centres[random.integers(0, 4, 40)] + random.standard_normal((40, 16))
        real = np.repeat(patient, 3, axis=0) + 0.4 * random.standard_normal((120, 16))
        synthetic = centres[random.integers(0, 4, 120)] + 1.1 * random.standard_normal((120, 16)) + 0.2
        units = np.repeat(np.arange(40), 3)
        distance = kid(real, synthetic, real_units=units)
        found["kid"].append((distance.value, *distance.interval().ends()))
        scores = prdc(real, synthetic, real_units=units, replicates=80, seed=repeat)
        for score in SCORES:
            found[score].append((scores.value(score), *scores.interval(score).ends()))
    return {name: np.array(rows) for name, rows in found.items()}


@pytest.mark.parametrize("metric", ["kid", *SCORES])
def test_intervals_cover_and_are_not_vacuous(intervals, metric):
    values, low, high = intervals[metric].T
    covered = np.mean((low <= values.mean()) & (values.mean() <= high))
    assert 0.88 <= covered <= 0.995
    assert np.mean(high - low) < 1.6 * 2 * 1.96 * values.std()
