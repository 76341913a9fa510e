import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from synthassay.downstream.bootstrap import interval, mean_over_seeds, patient_weights, weighted_metrics
from synthassay.metrics import classification


def sample(seed: int = 0, patients: int = 12, per_patient: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with ties, labels, and patients in which scores and labels are alike."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(patients), per_patient)
    labels = (rng.random(len(owners)) < np.where(owners % 2, 0.8, 0.2)).astype(np.int64)
    scores = np.round(1 / (1 + np.exp(-(labels + rng.normal(0, 1, patients)[owners]))), 1).astype(np.float32)
    return scores, labels, np.array([f"p{owner}" for owner in owners])


def test_the_value_equals_scikit_learn_and_the_metrics_room() -> None:
    scores, labels, _ = sample()
    found = weighted_metrics(scores, labels, np.ones((1, len(labels)), np.int32), 0.5, 15)
    assert found["auroc"][0] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert found["average_precision"][0] == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert found["auroc"][0] == pytest.approx(classification.auroc(scores, labels), abs=1e-12)
    assert found["sensitivity"][0] == pytest.approx(classification.sensitivity(scores, labels, 0.5), abs=1e-12)
    assert found["specificity"][0] == pytest.approx(classification.specificity(scores, labels, 0.5), abs=1e-12)
    assert found["ece"][0] == pytest.approx(classification.expected_calibration_error(scores, labels, 15), abs=1e-12)


def test_every_replicate_equals_computing_on_repeated_rows() -> None:
    scores, labels, patients = sample()
    weights = patient_weights(patients, 60, np.random.default_rng(1))
    found = weighted_metrics(scores, labels, weights, 0.5, 10)
    for replicate, counts in enumerate(weights):
        rows = np.repeat(np.arange(len(scores)), counts)
        s, y = scores[rows], labels[rows]
        naive = {
            "auroc": classification.auroc(s, y),
            "average_precision": classification.average_precision(s, y),
            "sensitivity": classification.sensitivity(s, y, 0.5),
            "specificity": classification.specificity(s, y, 0.5),
            "ece": classification.expected_calibration_error(s, y, 10),
        }
        for name, value in naive.items():
            assert found[name][replicate] == pytest.approx(value, abs=1e-12, nan_ok=True), name


def test_replicates_draw_whole_patients_and_as_many_as_there_are() -> None:
    _, _, patients = sample()
    weights = patient_weights(patients, 50, np.random.default_rng(0))
    by_patient = weights.reshape(51, 12, 4)
    assert (by_patient == by_patient[:, :, :1]).all()
    np.testing.assert_array_equal(by_patient[1:, :, 0].sum(1), 12)
    np.testing.assert_array_equal(weights[0], 1)


def test_renaming_patients_changes_no_replicate() -> None:
    _, _, patients = sample()
    renamed = np.array([f"{name[::-1]}-renamed" for name in patients])
    first = patient_weights(patients, 20, np.random.default_rng(0))
    np.testing.assert_array_equal(first, patient_weights(renamed, 20, np.random.default_rng(0)))


def test_clustering_by_patient_widens_the_interval() -> None:
    scores, labels, patients = sample(patients=30, per_patient=10)
    images = np.array([f"i{i}" for i in range(len(labels))])
    widths = []
    for units in (patients, images):
        curve = weighted_metrics(scores, labels, patient_weights(units, 800, np.random.default_rng(0)), 0.5, 10)
        span = interval(curve["auroc"], len(np.unique(units)), 0.95)
        low, high = span.ends()
        widths.append(high - low)
    assert widths[0] > 1.5 * widths[1]


def test_the_interval_is_wider_with_few_patients_than_plain_percentiles() -> None:
    curve = np.concatenate([[0.0], np.random.default_rng(0).normal(size=20_000)])
    low, high = interval(curve, 6, 0.95).ends()
    assert high == pytest.approx(2.5706 * np.sqrt(6 / 5), abs=0.1)  # t(5) at 97.5% times sqrt(n/(n-1))
    assert low == pytest.approx(-high, abs=0.15)


def test_there_is_no_interval_when_many_replicates_lack_a_class() -> None:
    curve = np.append(0.8, np.where(np.arange(100) % 5 == 0, np.nan, 0.8))
    span = interval(curve, 30, 0.95)
    assert span.low is None
    assert "20 of 100" in span.note


def test_a_centred_interval_of_the_calibration_error_holds_its_value() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(400).astype(np.float32)
    labels = (rng.random(400) < scores).astype(np.int64)
    curve = weighted_metrics(scores, labels, patient_weights(np.arange(400).astype(str), 500, rng), 0.5, 15)["ece"]
    assert curve[1:].mean() > curve[0]  # resampling inflates it
    low, high = interval(curve, 400, 0.95, centred=True).ends()
    assert low < curve[0] < high


def test_the_mean_over_seeds_is_plain_and_its_replicates_resample_seeds() -> None:
    curves = [{"auroc": np.full(501, value)} for value in (0.6, 0.7, 0.9)]
    mean = mean_over_seeds(curves, np.random.default_rng(0))["auroc"]
    assert mean[0] == pytest.approx(2.2 / 3)
    assert mean[1:].std() == pytest.approx(np.std([0.6, 0.7, 0.9]) / np.sqrt(3), rel=0.15)


def test_one_class_gives_nan_where_a_metric_needs_two() -> None:
    found = weighted_metrics(np.array([0.2, 0.7], np.float32), np.ones(2, np.int64), np.ones((1, 2), np.int32), 0.5, 5)
    assert np.isnan(found["auroc"][0])
    assert np.isnan(found["specificity"][0])
    assert found["sensitivity"][0] == 0.5
