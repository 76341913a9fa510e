"""Fréchet distance and KID from features equal torch-fidelity's to 1e-6."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from synthassay.metrics.frechet import frechet_distance
from synthassay.metrics.kid import kid

KINDS = ["plain", "duplicates", "constant columns", "float16"]


def features(n, m, d, kind):
    random = np.random.default_rng(n + d)
    scales = 1 / np.sqrt(1 + np.arange(d))  # features of real encoders decay
    real, synthetic = random.standard_normal((n, d)) * scales + 0.5, 1.2 * random.standard_normal((m, d)) * scales + 0.6
    if kind == "duplicates":
        real[1::2] = real[::2]
    if kind == "constant columns":
        real[:, : d // 4] = synthetic[:, : d // 4] = 2.0
    dtype = np.float16 if kind == "float16" else np.float64
    return real.astype(dtype), synthetic.astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "m", "d"), [(50, 60, 8), (400, 300, 64), (60, 50, 200), (50, 400, 200)])
def test_frechet_distance(n, m, d, kind):
    real, synthetic = features(n, m, d, kind)
    statistics = [fid_features_to_statistics(torch.from_numpy(x.astype(np.float64))) for x in (real, synthetic)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(real, synthetic).value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "d"), [(50, 8), (300, 64), (60, 2048)])
def test_kid_over_all_pairs(n, d, kind):
    real, synthetic = features(n, n, d, kind)
    whole = {"kid_subsets": 1, "kid_subset_size": n, "kid_kernel": "poly", "kid_kernel_poly_degree": 3,
             "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1, "rng_seed": 0, "verbose": False}  # fmt: skip
    tensors = [torch.from_numpy(x.astype(np.float64)) for x in (synthetic, real)]
    expected = kid_features_to_metric(*tensors, **whole)["kernel_inception_distance_mean"]
    assert kid(real, synthetic, patient_aware=False).value == pytest.approx(expected, rel=1e-6, abs=1e-12)
