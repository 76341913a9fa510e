"""Confidence intervals whose resampling unit is the patient.

Proportions of independent patients: Wilson, Clopper-Pearson, Newcombe's difference. Means and sums over patients that
have several images each: the clustered standard error with Student's t on P-1 degrees of freedom. Anything else: the
cluster bootstrap. The bootstrap must not be used for metrics built on nearest neighbours, because duplicated points
shrink the neighbourhoods; :mod:`synthassay.metrics.halfsampling` is for these.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
MIN_DEFINED_SHARE = 0.9  # of bootstrap replicates; under it the interval would describe the lucky resamples only
Statistic = Callable[[NDArray[np.int64]], float]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval. Both ends are None where there is none; ``note`` then says why."""

    low: float | None
    high: float | None
    method: str = ""
    note: str = ""

    def ends(self) -> tuple[float, float]:
        """Both ends; an error where there is no interval."""
        if self.low is None or self.high is None:
            raise ValueError(f"there is no interval: {self.note}")
        return self.low, self.high

    def clipped(self, low: float, high: float) -> "Interval":
        """The part of the interval inside [``low``, ``high``], the range that the quantity can take."""
        if self.low is None or self.high is None:
            return self
        return replace(self, low=min(max(self.low, low), high), high=min(max(self.high, low), high))


def no_interval(note: str) -> Interval:
    """No interval, and why."""
    return Interval(None, None, "", note)


def unit_codes(units: ArrayLike) -> NDArray[np.int64]:
    """``[n]`` names of resampling units (text or integers) as codes 0, 1, ... in order of first appearance.

    Codes, and with them every draw, depend on the grouping only, never on the names: another pseudonym key gives the
    same result.
    """
    _, first, inverse = np.unique(np.asarray(units), return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.ravel()]


def _checked_counts(successes: float, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"need 0 <= successes <= n and n >= 1, got {successes} of {n}")


def wilson(successes: float, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927), for ``n`` independent units."""
    _checked_counts(successes, n)
    z = float(stats.norm.ppf((1 + confidence) / 2))
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(max(0.0, low), min(1.0, high), "Wilson score")


def clopper_pearson(successes: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """The exact interval of a proportion (Clopper & Pearson 1934); it covers at least as often as it says."""
    _checked_counts(successes, n)
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(stats.beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes == n else float(stats.beta.ppf(1 - tail, successes + 1, n - successes))
    return Interval(low, high, "Clopper-Pearson")


def newcombe_difference(
    successes_a: float, n_a: int, successes_b: float, n_b: int, confidence: float = CONFIDENCE
) -> Interval:
    """Interval of the difference of two independent proportions, a - b (Newcombe 1998, method 10)."""
    rate_a, rate_b = successes_a / n_a, successes_b / n_b
    (low_a, high_a), (low_b, high_b) = (
        wilson(successes_a, n_a, confidence).ends(), wilson(successes_b, n_b, confidence).ends(),
    )  # fmt: skip
    low = rate_a - rate_b - math.hypot(rate_a - low_a, high_b - rate_b)
    high = rate_a - rate_b + math.hypot(high_a - rate_a, rate_b - low_b)
    return Interval(low, high, "Newcombe difference of Wilson intervals")


def t_interval(
    value: float, standard_error: float, units: int, confidence: float = CONFIDENCE, method: str = "t"
) -> Interval:
    """``value`` ± t(units-1) × ``standard_error``; ``units`` are the patients of the side that limits it.

    With few patients the normal quantile covers a mean far too rarely (92% at 10 patients, 88% at 5).
    """
    if units < 2:
        return no_interval(f"an interval needs 2 patients, found {units}")
    if not (math.isfinite(value) and math.isfinite(standard_error)):
        raise ValueError(f"value and standard error must be finite, got {value} and {standard_error}")
    half = float(stats.t.ppf((1 + confidence) / 2, units - 1)) * standard_error
    return Interval(value - half, value + half, f"{method}, t({units - 1})")


def cluster_sums(values: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum of ``values`` ``[n]`` within each unit code."""
    return np.asarray(np.bincount(units, weights=values), np.float64)


def influence_variance(influence: NDArray[np.float64], units: NDArray[np.int64]) -> float:
    """Variance of a statistic from its per-row influence ``[n]`` (already divided by n), summed within each unit.

    With P units: P/(P-1) · Σ (s_p - mean s)², the linearisation (sandwich) estimate. NaN with one unit.
    """
    sums = cluster_sums(influence, units)
    if len(sums) < 2:
        return math.nan
    return float(np.sum((sums - sums.mean()) ** 2) * len(sums) / (len(sums) - 1))


def clustered_mean(values: ArrayLike, units: ArrayLike) -> tuple[float, float, int]:
    """Mean over rows, its standard error by unit, and the number of units.

    The mean is a ratio (sum over images / number of images), so units with more images weigh more; its influence is
    the within-unit sum of deviations from the mean.
    """
    rows, codes = np.asarray(values, np.float64), unit_codes(units)
    mean = float(rows.mean())
    return mean, math.sqrt(influence_variance((rows - mean) / len(rows), codes)), int(codes.max()) + 1


def clustered_mean_interval(values: ArrayLike, units: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """t interval of a mean over rows that are clustered in units (patients)."""
    if len(np.unique(np.asarray(units))) < 2:
        return no_interval("an interval needs 2 patients")
    mean, error, count = clustered_mean(values, units)
    return t_interval(mean, error, count, confidence, "clustered mean")


def share_interval(value: float, interval: Interval, units: int, confidence: float = CONFIDENCE) -> Interval:
    """``interval`` of a share, inside [0, 1], and never of zero width at 0 or 1.

    Where every unit agrees, the spread is zero although the share is not known exactly; the open end is then the
    Clopper-Pearson bound for ``units`` independent units.
    """
    if interval.low is None or interval.high is None or 0.0 < value < 1.0:
        return interval.clipped(0.0, 1.0)
    exact_low, exact_high = clopper_pearson(0 if value <= 0.0 else units, units, confidence).ends()
    low, high = min(interval.low, exact_low), max(interval.high, exact_high)
    return Interval(low, high, f"{interval.method}; Clopper-Pearson at the boundary", interval.note).clipped(0.0, 1.0)


def resampled_rows(units: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Row indices of one cluster bootstrap resample: as many units as there are, with replacement, all their rows."""
    return _rows_by_unit(units).draw(generator)


@dataclass(frozen=True, slots=True)
class _UnitRows:
    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    def rows(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        counts = self.counts[chosen]
        offsets = np.repeat(self.starts[chosen] - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        rows: NDArray[np.int64] = self.order[offsets + np.arange(int(counts.sum()))]
        return rows

    def draw(self, generator: np.random.Generator) -> NDArray[np.int64]:
        return self.rows(generator.integers(0, len(self.counts), len(self.counts)))


def _rows_by_unit(units: NDArray[np.int64]) -> _UnitRows:
    counts = np.bincount(units)
    return _UnitRows(np.argsort(units, kind="stable"), np.cumsum(counts) - counts, counts)


def cluster_bootstrap(
    statistic: Statistic, units: ArrayLike, *, generator: np.random.Generator, replicates: int = 1000,
    method: Literal["bca", "percentile"] = "bca", confidence: float = CONFIDENCE,
) -> Interval:  # fmt: skip
    """Bootstrap interval of ``statistic(rows)``; whole units (patients) are drawn with replacement.

    ``statistic`` takes row indices (with repeats) and returns a number, NaN where it is undefined (a resample of one
    class); under 90% defined resamples there is no interval. BCa (Efron 1987) corrects bias and skewness, the latter
    by the delete-one-patient jackknife.
    """
    codes = unit_codes(units)
    members = _rows_by_unit(codes)
    n_units = len(members.counts)
    if n_units < 2:
        return no_interval(f"a bootstrap over patients needs 2 patients, found {n_units}")
    draws = np.array([statistic(members.draw(generator)) for _ in range(replicates)], np.float64)
    defined = draws[np.isfinite(draws)]
    if len(defined) < MIN_DEFINED_SHARE * replicates:
        return no_interval(f"undefined in {replicates - len(defined)} of {replicates} resamples of patients")
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if method == "bca":
        tails = _bca_levels(statistic, members, defined, tails)
    low, high = np.quantile(defined, tails)
    return Interval(float(low), float(high), f"patient bootstrap ({method}, {replicates} replicates)")


def _bca_levels(
    statistic: Statistic, members: _UnitRows, draws: NDArray[np.float64], tails: NDArray[np.float64]
) -> NDArray[np.float64]:
    units = np.arange(len(members.counts))
    full = statistic(members.rows(units))
    left_out = np.array([statistic(members.rows(np.delete(units, p))) for p in units], np.float64)
    left_out = left_out[np.isfinite(left_out)]
    # Draws equal to the estimate count half, so that a discrete statistic does not look biased.
    below = (np.mean(draws < full) + np.mean(draws <= full)) / 2
    edge = 0.5 / len(draws)
    bias = float(stats.norm.ppf(min(max(float(below), edge), 1 - edge)))
    deviations = left_out.mean() - left_out if len(left_out) else np.zeros(1)
    scale = float(np.sum(deviations**2)) ** 1.5
    acceleration = float(np.sum(deviations**3)) / (6 * scale) if scale > 0 else 0.0
    shifted = bias + stats.norm.ppf(tails)
    levels: NDArray[np.float64] = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
    return levels


def paired_cluster_bootstrap(
    statistic_a: Statistic, statistic_b: Statistic, units: ArrayLike, *, generator: np.random.Generator,
    replicates: int = 1000, method: Literal["bca", "percentile"] = "bca", confidence: float = CONFIDENCE,
) -> Interval:  # fmt: skip
    """Bootstrap interval of a - b where both are computed on the same resampled patients."""

    def difference(rows: NDArray[np.int64]) -> float:
        return statistic_a(rows) - statistic_b(rows)

    return cluster_bootstrap(difference, units, generator=generator, replicates=replicates, method=method,
                             confidence=confidence)  # fmt: skip
