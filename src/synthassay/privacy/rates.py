"""Rates of flagged images with intervals that respect who the images come from.

Pure functions. Few events are the rule here (honest sets flag one image in a hundred), so every interval is meant to
hold at zero events as well, where a bootstrap of the data has no width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthassay.metrics.intervals import CONFIDENCE, clopper_pearson, unit_codes, wilson

_TAILS = (0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2)
_FEW_CLUSTERS = 5  # flagged patients below which the correlation within patients cannot be estimated
_BLOCK = 1 << 20  # resampled clusters held at once


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of images with its 95% interval. ``n_effective``: independent images that would be as informative."""

    value: float
    low: float
    high: float
    hits: int
    n: int
    clusters: int
    n_effective: int


def certifiable_rate(n: int) -> float:
    """The smallest rate that ``n`` units can rule out: Wilson's upper limit after zero hits (381 units for 0.01)."""
    return wilson(0, n, CONFIDENCE).ends()[1]


def clustered_rate(
    flags: NDArray[np.bool_], clusters: NDArray[np.str_] | NDArray[np.int64], rng: np.random.Generator, replicates: int
) -> Rate:
    """The share of ``flags`` ``[n]`` that is set, with an interval over ``clusters`` ``[n]``.

    The interval is the wider, limit by limit, of the percentile bootstrap of whole clusters and of Wilson's at the
    effective sample size p(1 - p) / var(p), with the linearised variance of a ratio over clusters. The bootstrap
    follows uneven clusters; Wilson holds where events are few and the bootstrap is too short. With fewer than 5
    flagged clusters images of one cluster count as one. Raises ``ValueError`` without rows.
    """
    if not len(flags):
        raise ValueError("a rate needs at least one image")
    index = unit_codes(clusters)
    hits = np.bincount(index, flags).astype(np.float64)
    sizes = np.bincount(index).astype(np.float64)
    value = float(hits.sum() / sizes.sum())
    n_effective = _effective_size(hits, sizes)
    drawn = _bootstrap(hits, sizes, rng, replicates)
    low, high = (float(limit) for limit in np.quantile(drawn, _TAILS))
    wilson_low, wilson_high = wilson(value * n_effective, n_effective, CONFIDENCE).ends()
    return Rate(
        value, min(low, wilson_low), max(high, wilson_high), int(flags.sum()), len(flags), len(sizes), n_effective
    )


def _effective_size(hits: NDArray[np.float64], sizes: NDArray[np.float64]) -> int:
    """Images as informative as these clusters: at most one per image, at most one per cluster where events are few."""
    n, count = sizes.sum(), len(sizes)
    rate = hits.sum() / n
    if count < 2 or not 0 < rate < 1:
        return count
    few = min(np.count_nonzero(hits), np.count_nonzero(hits < sizes)) < _FEW_CLUSTERS
    variance = count / (count - 1) * float(np.square(hits - rate * sizes).sum()) / n**2
    estimate = rate * (1 - rate) / variance if variance > 0 else float(n)
    return int(np.clip(estimate, 1, count if few else n))


def _bootstrap(
    hits: NDArray[np.float64], sizes: NDArray[np.float64], rng: np.random.Generator, replicates: int
) -> NDArray[np.float64]:
    count = len(sizes)
    rates = np.empty(replicates)
    step = max(1, _BLOCK // count)
    for start in range(0, replicates, step):
        drawn = rng.integers(0, count, (min(step, replicates - start), count))
        rates[start : start + len(drawn)] = hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return rates


def recall_by_patient(flags: NDArray[np.bool_], patients: NDArray[np.str_]) -> Rate:
    """The share of planted copies that is found, with Clopper and Pearson's interval over patients.

    A patient with several copies counts by the share of them that is found; the sum over patients is rounded down, so
    the lower bound stays on the safe side. Raises ``ValueError`` without rows.
    """
    if not len(flags):
        raise ValueError("a recall needs at least one planted copy")
    index = unit_codes(patients)
    by_patient = np.bincount(index, flags) / np.bincount(index)
    n = len(by_patient)
    low, _ = clopper_pearson(int(np.floor(by_patient.sum() + 1e-9)), n, CONFIDENCE).ends()
    _, high = clopper_pearson(int(np.ceil(by_patient.sum() - 1e-9)), n, CONFIDENCE).ends()
    return Rate(float(by_patient.mean()), low, high, int(flags.sum()), len(flags), n, n)


def difference(a: Rate, b: Rate) -> tuple[float, float, float]:
    """a - b and its 95% interval from the two intervals (Newcombe 1998, method 10; Donner and Zou 2012)."""
    value = a.value - b.value
    down = float(np.hypot(a.value - a.low, b.high - b.value))
    up = float(np.hypot(a.high - a.value, b.value - b.low))
    return value, value - down, value + up


def copied_share(
    flagged: Rate, false_alarms: Rate, recalls: Sequence[Rate], rng: np.random.Generator, replicates: int
) -> tuple[float, float, float] | None:
    """The share of copies behind the flagged share: (p - f) / (r - f), clipped to [0, 1], with its 95% interval.

    After Rogan and Gladen (1978): p is the flagged share of the set, f that of honest images, r the recall, the mean
    over the kinds of planted copies. All of them are redrawn for the interval, each from the Beta distribution of
    its hits and misses at effective size (Jeffreys' prior, so that no rate is certain after zero events).
    ``None`` where the recall is not clearly above the false alarms, for then the flagged share says nothing.
    """
    if not recalls or np.mean([rate.low for rate in recalls]) <= false_alarms.high:
        return None
    recall = float(np.mean([rate.value for rate in recalls]))
    value = float(np.clip((flagged.value - false_alarms.value) / (recall - false_alarms.value), 0.0, 1.0))
    p, f = (_redrawn(rate, rng, replicates) for rate in (flagged, false_alarms))
    r = np.mean([_redrawn(rate, rng, replicates) for rate in recalls], axis=0)
    shares = np.clip((p - f) / np.maximum(r - f, 1e-9), 0.0, 1.0)
    low, high = (float(limit) for limit in np.quantile(shares, _TAILS))
    return value, min(low, value), max(high, value)


def _redrawn(rate: Rate, rng: np.random.Generator, replicates: int) -> NDArray[np.float64]:
    hits = rate.value * rate.n_effective
    drawn: NDArray[np.float64] = rng.beta(hits + 0.5, rate.n_effective - hits + 0.5, replicates)
    return drawn
