"""Patient bootstrap of classification metrics, all replicates at once.

A replicate draws as many patients as there are, with replacement; an image counts as often as its patient was drawn.
Instead of repeating rows, every metric is computed from these counts as weights: scores are sorted once, and cumulative
weights give all replicates. Row 0 has weight one everywhere and is the value itself.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from synthassay.metrics.intervals import MIN_DEFINED_SHARE, Interval, no_interval, unit_codes

BLOCK = 1 << 22  # weights handled at once: 32 MiB in float64

Curve = NDArray[np.float64]  # [replicates + 1]: the value, then its replicates; NaN where undefined


def patient_weights(patients: NDArray[np.str_], replicates: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """``[replicates + 1, n]``: how often each image counts; row 0 is all ones."""
    codes = unit_codes(patients)
    count = int(codes.max()) + 1
    draws = rng.multinomial(count, np.full(count, 1 / count), size=replicates)
    return np.concatenate([np.ones((1, len(patients)), np.int32), draws[:, codes].astype(np.int32)])


def weighted_metrics(
    scores: NDArray[np.float32], labels: NDArray[np.int64], weights: NDArray[np.int32], threshold: float, bins: int
) -> dict[str, Curve]:
    """``auroc``, ``average_precision``, ``sensitivity``, ``specificity`` and ``ece`` for every row of ``weights``.

    ``scores``: ``[n]`` in [0, 1]; ``labels``: ``[n]`` of 0 or 1; ``weights``: ``[r, n]`` counts. Sensitivity and
    specificity are those of calling an image positive when its score is above ``threshold``. NaN where a class is
    missing.
    """
    step = max(1, BLOCK // max(1, len(scores)))
    blocks = [
        _block_metrics(scores.astype(np.float64), labels, weights[start : start + step], threshold, bins)
        for start in range(0, len(weights), step)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _block_metrics(
    scores: NDArray[np.float64], labels: NDArray[np.int64], weights: NDArray[np.int32], threshold: float, bins: int
) -> dict[str, Curve]:
    order = np.argsort(-scores, kind="stable")
    ordered, truth = weights[:, order].astype(np.float64), labels[order].astype(np.float64)
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # last image of each distinct score
    hits = np.cumsum(ordered * truth, axis=1)[:, ends]
    alarms = np.cumsum(ordered * (1 - truth), axis=1)[:, ends]
    above = int(np.sum(scores > threshold)) if np.isfinite(threshold) else 0
    called = ordered[:, :above] @ np.stack([truth[:above], 1 - truth[:above]], axis=1)
    usable = 1.0 if np.isfinite(threshold) else np.nan
    positives, negatives = hits[:, -1], alarms[:, -1]
    return {
        "auroc": _auroc(hits, alarms),
        "average_precision": _average_precision(hits, alarms),
        "sensitivity": _ratio(called[:, 0] * usable, positives),
        "specificity": _ratio((negatives - called[:, 1]) * usable, negatives),
        "ece": _calibration_error(scores[order], truth, ordered, bins),
    }


def _ratio(numerator: Curve, denominator: Curve) -> Curve:
    ratio = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=ratio, where=denominator > 0)
    return ratio


def _auroc(hits: NDArray[np.float64], alarms: NDArray[np.float64]) -> Curve:
    """Area under the trapezes of (false alarms, hits): ties count one half."""
    before = np.pad(hits, ((0, 0), (1, 0)))[:, :-1]
    widths = np.diff(alarms, axis=1, prepend=0.0)
    return _ratio(np.einsum("rk,rk->r", widths, (before + hits) / 2), hits[:, -1] * alarms[:, -1])


def _average_precision(hits: NDArray[np.float64], alarms: NDArray[np.float64]) -> Curve:
    """Σ (recall step)·precision over distinct scores, without interpolation. NaN without positives."""
    gains = np.diff(hits, axis=1, prepend=0.0)
    # Counts are whole numbers: the maximum only replaces 0/0, where the gain is 0.
    return _ratio(np.einsum("rk,rk->r", gains, hits / np.maximum(hits + alarms, 1)), hits[:, -1])


def _calibration_error(
    scores: NDArray[np.float64], truth: NDArray[np.float64], weights: NDArray[np.float64], bins: int
) -> Curve:
    """Expected calibration error over ``bins`` equal widths (Guo 2017, eq. 3): Σ |mean score − prevalence|·share."""
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], scores, side="left")
    gaps = np.zeros((len(scores), bins))
    gaps[np.arange(len(scores)), place] = scores - truth
    return _ratio(np.abs(weights @ gaps).sum(1), weights.sum(1))


def mean_over_seeds(curves: Sequence[Mapping[str, Curve]], rng: np.random.Generator) -> dict[str, Curve]:
    """One curve per metric: the mean over seeds, the seeds resampled in each replicate as the patients are.

    The value and every replicate of one seed come in ``curves``. Arms given equal ``rng`` states and equal numbers of
    seeds draw the same seeds, so differences between them stay paired.
    """
    count, rows = len(curves), len(next(iter(curves[0].values())))
    draws = rng.multinomial(count, np.full(count, 1 / count), size=rows - 1)
    shares = np.concatenate([np.ones((1, count)), draws]) / count
    return {name: np.einsum("rs,sr->r", shares, np.stack([curve[name] for curve in curves])) for name in curves[0]}


def interval(curve: Curve, units: int, confidence: float, *, centred: bool = False) -> Interval:
    """Expanded percentile interval of ``curve[1:]`` (Hesterberg 2015, section 4.3); ``units`` patients were drawn.

    Plain percentiles are too narrow with few patients, by the factor √((n-1)/n) and by normal in place of t quantiles;
    the percentiles asked for are moved out accordingly. Unlike value ± t·s.e. the interval stays within the metric's
    range. There is none if more than a tenth of the replicates are undefined. ``centred`` moves the replicates' mean
    onto the value, for a metric that resampling inflates: a calibration error adds absolute gaps, and the noise that
    resampling adds to each gap does not cancel.
    """
    replicates = curve[1:][np.isfinite(curve[1:])]
    undefined = len(curve) - 1 - len(replicates)
    if units < 2 or len(replicates) < MIN_DEFINED_SHARE * (len(curve) - 1):
        return no_interval(f"no interval: undefined in {undefined} of {len(curve) - 1} resamples of {units} patients")
    quantile = float(t.ppf(0.5 + confidence / 2, units - 1)) * float(np.sqrt(units / (units - 1)))
    tail = float(norm.cdf(-quantile))
    shift = float(curve[0] - replicates.mean()) if centred else 0.0
    low, high = np.quantile(replicates, [tail, 1 - tail]) + shift
    kind = "centred expanded percentile" if centred else "expanded percentile"
    return Interval(float(low), float(high), f"patient bootstrap ({kind}, {len(curve) - 1} replicates)")
