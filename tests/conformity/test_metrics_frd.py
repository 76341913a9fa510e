"""The Fréchet radiomics distance equals frd-score's, and the formula by scipy's matrix square root."""

import math

import numpy as np
import pytest
import scipy.linalg
from frd_score import frd as reference

from synthassay.metrics.frd import frd


def features(n, m, d, kind):
    random = np.random.default_rng(n + d)
    mixing = random.standard_normal((d, d)) / math.sqrt(d) + np.eye(d)
    scales = 10.0 ** random.uniform(-3, 3, d)  # from shares to sums of squares
    real = (random.standard_normal((n, d)) @ mixing + 0.5) * scales
    synthetic = (1.2 * random.standard_normal((m, d)) @ mixing + 0.7) * scales
    if kind == "duplicates":
        real[1::2] = real[::2]
    if kind == "skewed":
        real, synthetic = real**2, synthetic**2
    return real, synthetic


@pytest.mark.parametrize("kind", ["plain", "duplicates", "skewed"])
@pytest.mark.parametrize(("n", "m", "d"), [(60, 80, 8), (300, 200, 49), (400, 300, 93)])
def test_equals_frd_score(n, m, d, kind):
    real, synthetic = features(n, m, d, kind)
    standard = [reference.z_score_normalize(rows, base_distribution=real) for rows in (real, synthetic)]
    moments = [part for rows in standard for part in (rows.mean(axis=0), np.cov(rows, rowvar=False))]
    expected = math.log(reference.calculate_frechet_distance(*moments))
    assert frd(real, synthetic).value == pytest.approx(expected, abs=1e-6)


def test_equals_the_formula_written_out():
    real, synthetic = features(200, 150, 12, "plain")
    standard = [(rows - real.mean(axis=0)) / real.std(axis=0) for rows in (real, synthetic)]
    (m1, m2), (s1, s2) = ([f(rows) for rows in standard] for f in (lambda x: x.mean(axis=0), lambda x: np.cov(x.T)))
    distance = np.sum((m1 - m2) ** 2) + np.trace(s1 + s2 - 2 * scipy.linalg.sqrtm(s1 @ s2).real)
    assert frd(real, synthetic).value == pytest.approx(math.log(distance), abs=1e-9)
