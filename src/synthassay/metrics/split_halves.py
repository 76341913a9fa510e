"""Intervals of shares from complementary half-samples: patients are split into two halves, again and again.

Why not the spread of half-samples alone. Write σ²/P for the variance of a statistic over P patients and s_c for the
part of it that lies in its c-th order term (Hoeffding 1948). Two random half-samples share half of their patients, so
they correlate by Σ s_c 2^-c, and their spread estimates σ²/P · 2(1 - Σ s_c 2^-c): right for a mean (c = 1), up to twice
the variance where patients interact, as neighbours do. The two halves A, B of one split share nobody and are
independent, so E (T_A - T_B)²/4 = σ²/P whatever the order, as long as P times the variance does not depend on P.

A half-sample has larger neighbourhoods, hence another mean and, for a share near 0 or 1, another variance. What carries
over is the effective number of independent images, n_eff = p(1-p)/variance. The interval is Wilson's with n_eff and
Student's t on P-1 degrees of freedom, as for proportions of complex surveys (Korn & Graubard 1998; Franco et al. 2019):
inside [0, 1], not symmetric, and never of zero width.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from synthassay.metrics.intervals import CONFIDENCE, Interval, no_interval


def complementary_halves(
    units: NDArray[np.int64], replicates: int, generator: np.random.Generator
) -> NDArray[np.bool_]:  # fmt: skip
    """Which rows are kept: ``[n, 1 + replicates]``; column 0 keeps all, columns 2j-1 and 2j are the halves of a split.

    ``units``: ``[n]`` codes 0..P-1; whole units go to a half. For odd P either half is the larger one by chance, and
    the variance of a mean comes out P²/(P²-1) of what it should be, 1% too much at 11 patients. The last column of an
    odd number of ``replicates`` is a half without its complement.
    """
    count = int(units.max(initial=-1)) + 1
    if count == 0:
        return np.ones((0, 1 + replicates), np.bool_)
    pairs = (replicates + 1) // 2
    rank = generator.random((pairs, count)).argsort(axis=1).argsort(axis=1)
    size = count // 2 + generator.integers(0, 1 + count % 2, pairs)
    half = rank < size[:, None]
    kept = np.ones((count, 1 + 2 * pairs), np.bool_)
    kept[:, 1::2], kept[:, 2::2] = half.T, ~half.T
    return kept[units, : 1 + replicates]


def effective_number(halves: NDArray[np.float64]) -> float:
    """Effective number of independent images behind a share in [0, 1]; NaN where the halves never differ.

    ``halves``: ``[2J]`` or ``[2J + 1]`` the share in each half, complements side by side (a last one without is left
    out). p(1-p) is estimated by T_A (1 - T_B), which is unbiased since the halves are independent.
    """
    first, second = halves[: len(halves) // 2 * 2].reshape(-1, 2).T
    variance = float(np.mean((first - second) ** 2)) / 4
    product = float(np.mean(first * (1 - second) + second * (1 - first))) / 2
    return product / variance if variance > 0 else math.nan


def score_interval(
    value: float, effective: float, units: int, confidence: float = CONFIDENCE, method: str = "Wilson score"
) -> Interval:
    """Wilson's interval of the share ``value`` with ``effective`` independent draws and the t(``units``-1) quantile."""
    if units < 2:
        return no_interval(f"an interval needs 2 patients, found {units}")
    if not (0.0 <= value <= 1.0 and effective > 0):
        raise ValueError(f"need a share and a positive effective number, got {value} and {effective}")
    spread = float(stats.t.ppf((1 + confidence) / 2, units - 1)) ** 2 / effective
    centre = (value + spread / 2) / (1 + spread)
    half = math.sqrt(value * (1 - value) * spread + spread * spread / 4) / (1 + spread)
    # It holds the value, which rounding could deny at either end.
    low, high = min(value, max(0.0, centre - half)), max(value, min(1.0, centre + half))
    return Interval(low, high, f"{method}, t({units - 1})")


def split_half_interval(
    value: float, halves: NDArray[np.float64], units: int, confidence: float = CONFIDENCE
) -> Interval:
    """Interval of a share from its value in all images and in complementary halves (see :func:`effective_number`).

    ``units``: patients of the side that limits it. Where the halves never differ, all of them at 0 or 1 as a rule, each
    patient counts as one image, which is the least that P patients can be worth.
    """
    if len(halves) < 2 or not np.isfinite(halves).all():
        return no_interval("too few patients: some half-samples leave fewer than k neighbours")
    found = effective_number(halves)
    effective = units if math.isnan(found) else found
    return score_interval(value, effective, units, confidence, "Wilson score on split halves of patients")
