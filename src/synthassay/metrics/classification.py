"""Binary classification metrics in NumPy: AUROC, average precision, sensitivity at a specificity, calibration error.

``scores`` are ``[n]`` numbers, higher meaning the positive class (probabilities in [0, 1] for the calibration error);
``labels`` are ``[n]``, 1 for the positive class and 0 for the other. A metric that is undefined (one class only) is
NaN, so that a bootstrap can count it.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthassay.errors import UserError


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, truth = np.asarray(scores, np.float64), np.asarray(labels)
    if values.ndim != 1 or values.shape != truth.shape:
        raise UserError(f"scores {values.shape} and labels {truth.shape} must be two [n] arrays of the same length")
    if not np.isfinite(values).all():
        raise UserError(f"scores hold a value that is not finite at row {int(np.argmin(np.isfinite(values)))}")
    if not np.isin(truth, (0, 1)).all():
        raise UserError(f"labels must be 0 or 1, found {truth[~np.isin(truth, (0, 1))][0]}")
    return values, truth.astype(np.bool_)


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties counting half.

    NaN where a class is missing.
    """
    values, truth = _checked(scores, labels)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if positives == 0 or negatives == 0:
        return math.nan
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    midranks = np.cumsum(counts) - (counts - 1) / 2
    wins = float(midranks[inverse][truth].sum()) - positives * (positives + 1) / 2
    return wins / (positives * negatives)


def _curve(values: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """True and false positives when everything at or above each distinct score (descending) is called positive."""
    order = np.argsort(-values, kind="stable")
    last = np.flatnonzero(np.append(np.diff(values[order]) != 0, True))
    true_positives = np.cumsum(truth[order], dtype=np.int64)[last]
    return true_positives, (last + 1 - true_positives).astype(np.int64)


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Σ (R_i - R_{i-1}) P_i over the distinct thresholds, without interpolation; NaN without positives."""
    values, truth = _checked(scores, labels)
    positives = int(truth.sum())
    if positives == 0:
        return math.nan
    hits, false_alarms = _curve(values, truth)
    precision = hits / (hits + false_alarms)
    return float(np.sum(np.diff(hits, prepend=0) * precision) / positives)


def threshold_at_specificity(scores: ArrayLike, labels: ArrayLike, specificity: float = 0.9) -> float:
    """The lowest score t of a negative such that at least ``specificity`` of the negatives score t or less.

    An image is called positive when its score is above t. To be fixed on validation patients; NaN without negatives.
    """
    values, truth = _checked(scores, labels)
    negatives = values[~truth]
    return float(np.quantile(negatives, specificity, method="inverted_cdf")) if len(negatives) else math.nan


def sensitivity(scores: ArrayLike, labels: ArrayLike, threshold: float) -> float:
    """Share of positives that score above ``threshold``; NaN without positives or with a NaN threshold."""
    values, truth = _checked(scores, labels)
    if not truth.any() or math.isnan(threshold):
        return math.nan
    return float(np.mean(values[truth] > threshold))


def specificity(scores: ArrayLike, labels: ArrayLike, threshold: float) -> float:
    """Share of negatives that score ``threshold`` or less; NaN without negatives or with a NaN threshold."""
    values, truth = _checked(scores, labels)
    if truth.all() or math.isnan(threshold):
        return math.nan
    return float(np.mean(values[~truth] <= threshold))


def sensitivity_at_specificity(
    scores: ArrayLike, labels: ArrayLike, specificity: float = 0.9, threshold: float | None = None
) -> float:
    """Sensitivity at ``threshold``, or without one at the threshold that these very scores give (optimistic).

    Give the threshold that was fixed on validation patients whenever the number is to say what a user would get.
    """
    cut = threshold_at_specificity(scores, labels, specificity) if threshold is None else threshold
    return sensitivity(scores, labels, cut)


def expected_calibration_error(
    scores: ArrayLike, labels: ArrayLike, bins: int = 15, scheme: Literal["equal-width", "equal-mass"] = "equal-width"
) -> float:
    """Σ_b n_b/n · |mean score − share of positives| over bins of the positive class's probability (Guo 2017).

    ``equal-width``: (0, 1/bins], ...; 0 belongs to the first bin. ``equal-mass``: bins of equal counts by rank, equal
    scores kept together. NaN for no rows.
    """
    values, truth = _checked(scores, labels)
    if len(values) == 0:
        return math.nan
    if values.min() < 0 or values.max() > 1:
        raise UserError("the calibration error needs probabilities in [0, 1]; found scores outside")
    if scheme == "equal-width":
        edges = np.linspace(0, 1, bins + 1)[1:-1]
    else:
        edges = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf"))
    index = np.searchsorted(edges, values, side="left")
    gaps = np.bincount(index, weights=values - truth, minlength=bins)
    return float(np.abs(gaps).sum() / len(values))
