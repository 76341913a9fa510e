"""KID over the same subsets equals torch-fidelity's, value and standard deviation, to 1e-6."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from synthassay.metrics.inputs import checked_rows
from synthassay.metrics.kid_subsets import kid_of_subsets, kid_subsets
from tests.conformity.feature_pairs import KINDS, double, feature_pair


def torch_fidelity_kid(synthetic, real, subsets, size, seed):
    settings = {
        "kid_subsets": subsets, "kid_subset_size": size, "kid_kernel": "poly", "kid_kernel_poly_degree": 3,
        "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1, "rng_seed": seed, "verbose": False,
    }  # fmt: skip
    found = kid_features_to_metric(*map(torch.from_numpy, double(synthetic, real)), **settings)
    return found["kernel_inception_distance_mean"], found["kernel_inception_distance_std"]


def torch_fidelity_draws(n_synthetic, n_real, subsets, size, seed):
    random = np.random.RandomState(seed)  # the draws of the other implementation
    pairs = [[random.choice(n, size, replace=False) for n in (n_synthetic, n_real)] for _ in range(subsets)]
    return (np.array(side) for side in zip(*pairs, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("n", "m", "d", "subsets", "size"),
    [(50, 60, 8, 10, 20), (400, 300, 64, 20, 100), (60, 50, 2048, 5, 40), (5000, 5000, 8, 3, 50)],
)
def test_same_subsets_same_value(n, m, d, subsets, size, kind):
    real, synthetic = feature_pair(n, m, d, kind)
    of_synthetic, of_real = torch_fidelity_draws(m, n, subsets, size, 3)
    found = kid_of_subsets(checked_rows("synthetic", synthetic), checked_rows("real", real), of_synthetic, of_real)
    mean, sd = torch_fidelity_kid(synthetic, real, subsets, size, 3)
    assert found.value == pytest.approx(mean, rel=1e-6, abs=1e-12)
    assert found.sd == pytest.approx(sd, rel=1e-6, abs=1e-12)


def test_subsets_of_the_whole_sets_need_no_common_draws():
    real, synthetic = feature_pair(80, 80, 16, "plain")
    found = kid_subsets(real, synthetic)
    assert found.size == 80
    assert found.value == pytest.approx(torch_fidelity_kid(synthetic, real, 1, 80, 0)[0], rel=1e-6)
    assert found.sd == pytest.approx(0.0, abs=1e-12)
