"""Fréchet distance and KID from features equal torchmetrics' and clean-fid's to 1e-6, n to 5,000 and d to 2,048."""

import warnings

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from synthassay.metrics.frechet import frechet_distance
from synthassay.metrics.kid import kid
from tests.conformity.feature_pairs import KINDS, double, feature_pair

SIZES = [(50, 60, 8), (5000, 4000, 16), (700, 900, 256)]


def moments(rows):
    return rows.mean(axis=0), np.cov(rows, rowvar=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "m", "d"), SIZES)
def test_frechet_distance(n, m, d, kind):
    real, synthetic = feature_pair(n, m, d, kind)
    (mu1, s1), (mu2, s2) = (moments(rows) for rows in double(real, synthetic))
    expected = float(_compute_fid(*(torch.from_numpy(part) for part in (mu1, s1, mu2, s2))))
    assert frechet_distance(real, synthetic).value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n", "m", "d"), SIZES[1:])
def test_frechet_distance_of_clean_fid(n, m, d):
    fid = pytest.importorskip("cleanfid.fid", reason="needs clean-fid")
    real, synthetic = feature_pair(n, m, d, KINDS[0])
    (mu1, s1), (mu2, s2) = (moments(rows) for rows in double(real, synthetic))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            expected = fid.frechet_distance(mu1, s1, mu2, s2)
        except TypeError:
            pytest.skip("clean-fid calls scipy's sqrtm in a way that this scipy no longer takes")
    assert frechet_distance(real, synthetic).value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "d"), [(50, 8), (2000, 64), (300, 2048)])
def test_kid(n, d, kind):
    real, synthetic = feature_pair(n, n, d, kind)
    expected = float(poly_mmd(*(torch.from_numpy(rows) for rows in double(synthetic, real))))
    assert kid(real, synthetic, patient_aware=False).value == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_kid_of_clean_fid():
    fid = pytest.importorskip("cleanfid.fid", reason="needs clean-fid")
    real, synthetic = feature_pair(400, 400, 64, KINDS[0])
    np.random.seed(0)  # noqa: NPY002 - clean-fid draws its subsets from the global state
    expected = fid.kernel_distance(*double(real, synthetic), num_subsets=1, max_subset_size=400)
    assert kid(real, synthetic, patient_aware=False).value == pytest.approx(expected, rel=1e-6)
