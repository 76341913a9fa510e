"""Classification metrics: closed forms and edges; agreement with scikit-learn is under tests/conformity."""

import math

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.metrics.classification import (
    auroc,
    average_precision,
    expected_calibration_error,
    sensitivity,
    sensitivity_at_specificity,
    specificity,
    threshold_at_specificity,
)


def test_auroc_counts_ties_half():
    assert auroc([0.5, 0.5, 0.5], [0, 1, 0]) == 0.5
    assert auroc([0.1, 0.5, 0.5, 0.9], [0, 0, 1, 1]) == 0.875


def test_better_scores_give_a_higher_auroc_and_average_precision():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 500)
    weak, strong = (labels * gain + random.standard_normal(500) for gain in (0.5, 2.0))
    assert auroc(strong, labels) > auroc(weak, labels) > 0.5
    assert average_precision(strong, labels) > average_precision(weak, labels)


def test_one_class_is_undefined_and_not_a_number():
    assert math.isnan(auroc([0.1, 0.2], [1, 1]))
    assert math.isnan(average_precision([0.1, 0.2], [0, 0]))
    assert math.isnan(sensitivity([0.1], [0], 0.5))
    assert math.isnan(threshold_at_specificity([0.1], [1], 0.9))
    assert math.isnan(expected_calibration_error([], []))


def test_the_threshold_keeps_the_specificity_it_was_asked_for():
    scores, labels = np.arange(100) / 100, np.zeros(100, int)
    for wanted in (0.5, 0.9, 0.95, 1.0):
        cut = threshold_at_specificity(scores, labels, wanted)
        assert specificity(scores, labels, cut) >= wanted
        assert specificity(scores, labels, cut - 0.01) < wanted


def test_a_threshold_from_validation_is_used_as_given():
    scores, labels = np.array([0.1, 0.4, 0.6, 0.9]), np.array([0, 0, 1, 1])
    assert sensitivity_at_specificity(scores, labels, 0.9, threshold=0.7) == 0.5
    assert sensitivity_at_specificity(scores, labels, 0.9) == 1.0


@pytest.mark.parametrize("scheme", ["equal-width", "equal-mass"])
def test_calibration_error_of_a_known_miscalibration(scheme):
    scores = np.repeat([0.15, 0.85], 100)
    labels = np.r_[np.arange(100) < 25, np.arange(100) < 75]
    assert expected_calibration_error(scores, labels, scheme=scheme) == pytest.approx(0.1)


def test_calibrated_scores_have_a_smaller_error_than_overconfident_ones():
    random = np.random.default_rng(0)
    truth = random.random(4000)
    labels = random.random(4000) < truth
    assert expected_calibration_error(truth, labels) < 0.04
    assert expected_calibration_error((truth > 0.5).astype(float), labels) > 0.2


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [([0.1, math.nan], [0, 1], "row 1"), ([0.1], [0, 1], "same length"), ([0.1], [2], "0 or 1, found 2")],
)
def test_bad_input_is_named(scores, labels, message):
    with pytest.raises(UserError, match=message):
        auroc(scores, labels)


def test_scores_that_are_no_probabilities_have_no_calibration():
    with pytest.raises(UserError, match="probabilities"):
        expected_calibration_error([1.5], [1])
