"""MiFID equals torchmetrics' formula, to 1e-6, once that is given the paper's direction (synthetic rows first)."""

import pytest
import torch
from torchmetrics.image.mifid import _compute_cosine_distance, _mifid_compute

from synthassay.metrics.mifid import mifid
from tests.conformity.feature_pairs import KINDS, double, feature_pair


def moments(features):
    return features.mean(dim=0), torch.cov(features.T), features


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "m", "d"), [(50, 60, 8), (400, 300, 64), (60, 50, 100), (5000, 200, 16)])
def test_equal_values_where_the_penalty_is_on(n, m, d, kind):
    train, synthetic = feature_pair(n, m, d, kind)
    synthetic[:] = (synthetic / 8 + train[:m] if n > m else synthetic / 8 + train[:1]).astype(train.dtype)
    first, second = (moments(torch.from_numpy(part)) for part in double(synthetic, train))
    found = mifid(train, synthetic)
    assert found.penalised
    assert found.distance == pytest.approx(float(_compute_cosine_distance(first[2], second[2])), rel=1e-6)
    assert found.value == pytest.approx(float(_mifid_compute(*first, *second)), rel=1e-6)


def test_equal_values_where_the_penalty_is_off():
    train, synthetic = feature_pair(60, 50, 40, "plain")
    train, synthetic = train - 0.5, synthetic - 0.6
    first, second = (moments(torch.from_numpy(part)) for part in (synthetic, train))
    found = mifid(train, synthetic)
    assert not found.penalised
    assert found.value == found.frechet.value == pytest.approx(float(_mifid_compute(*first, *second)), rel=1e-6)


def test_torchmetrics_itself_looks_from_the_training_images():
    # Ten copies among 1,000 training images: the synthetic set is all copies, the average over training images is not.
    train, _ = feature_pair(1000, 2, 64, "plain")
    train = torch.from_numpy(train - 0.5)
    assert float(_compute_cosine_distance(train, train[:10])) == 1.0
    assert mifid(train.numpy(), train[:10].numpy()).distance == 0.0
