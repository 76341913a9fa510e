"""Classification metrics equal scikit-learn's and torchmetrics'."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torchmetrics.functional.classification import binary_calibration_error

from synthassay.metrics.classification import (
    auroc,
    average_precision,
    expected_calibration_error,
    sensitivity_at_specificity,
)


def sample(n, decimals, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    labels[:2] = 0, 1
    scores = 1 / (1 + np.exp(-(labels + random.standard_normal(n))))
    return np.round(scores, decimals), labels


@pytest.mark.parametrize("n", [5, 60, 3000])
@pytest.mark.parametrize("decimals", [1, 2, 12])  # rounding makes ties
def test_ranking_metrics_equal_scikit_learn(n, decimals):
    scores, labels = sample(n, decimals, n + decimals)
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize("decimals", [1, 2, 12])
@pytest.mark.parametrize("specificity", [0.8, 0.9, 0.95])
def test_sensitivity_at_specificity_is_the_best_point_of_the_roc_curve(decimals, specificity):
    scores, labels = sample(500, decimals, decimals)
    false_alarms, hits, _ = roc_curve(labels, scores, drop_intermediate=False)
    expected = hits[false_alarms <= 1 - specificity + 1e-12].max()
    assert sensitivity_at_specificity(scores, labels, specificity) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("bins", [10, 15])
def test_calibration_error_equals_torchmetrics(bins):
    scores, labels = sample(700, 12, bins)
    expected = binary_calibration_error(torch.from_numpy(scores), torch.from_numpy(labels), n_bins=bins, norm="l1")
    assert expected_calibration_error(scores, labels, bins) == pytest.approx(float(expected), abs=1e-6)
