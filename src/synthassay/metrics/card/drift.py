"""How sites and devices differ: each against the others, over one value per patient."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from synthassay.card import CardRow
from synthassay.metrics.card.pixels import MEASURES, PixelFacts
from synthassay.metrics.card.subject import Subject, absent, by_patient, too_few, valued
from synthassay.records import MISSING

BINS = 10  # of the population stability index: tenths of the others
OTHERS = "others"
Values = NDArray[np.float64]


def drift_rows(subject: Subject, facts: PixelFacts) -> Iterator[CardRow]:
    """For each measure of pixels and for age: four distances of each place to the others.

    ``smd``: difference of means over the pooled standard deviation, with the interval of Hedges & Olkin (1985).
    ``ks``: largest gap of the cumulative distributions; its floor is what equal ones stay under in 95% of samples.
    ``wasserstein``: mean shift of quantiles, in pooled standard deviations. ``psi``: population stability index over
    tenths; its floor is the 95% point under no change (Yurdakul 2018). With two places one comparison says it all.
    """
    columns = {name: facts.measures[:, i] for i, name in enumerate(MEASURES)}
    if "age" in subject.images.covariates:
        columns["age"] = subject.images.covariates["age"][facts.rows].astype(np.float64)
    units = subject.units[facts.rows]
    for place, everywhere in subject.places():
        here = everywhere[facts.rows]
        names = sorted(set(here.tolist()) - {MISSING})
        if len(names) < 2:
            continue
        for value in names[: 1 if len(names) == 2 else None]:
            against = f"{place}={names[1]}" if len(names) == 2 else OTHERS
            inside, outside = here == value, (here != value) & (here != MISSING)
            for name, values in columns.items():
                sides = (by_patient(values[side], units[side]) for side in (inside, outside))
                frame = CardRow(topic="drift", quantity=name, statistic="smd", group=f"{place}={value}",
                                against=against, n_images=int(inside.sum()))  # fmt: skip
                yield from _distances(frame, *sides)


def _distances(frame: CardRow, one: Values, other: Values) -> Iterator[CardRow]:
    frame = replace(frame, n_patients=min(len(one), len(other)))
    if not frame.n_patients:
        return
    if reason := too_few(frame.n_patients):
        yield absent(frame, reason)
        return
    spread = float(np.sqrt((one.var(ddof=1) * (len(one) - 1) + other.var(ddof=1) * (len(other) - 1))
                           / (len(one) + len(other) - 2)))  # fmt: skip
    if spread == 0:
        yield absent(frame, "every patient has the same value")
        return
    smd = float(one.mean() - other.mean()) / spread
    half = float(stats.norm.ppf(0.975)) * smd_error(smd, len(one), len(other))
    yield valued(frame, smd, smd - half, smd + half, "Hedges & Olkin")
    inverse = 1 / len(one) + 1 / len(other)
    ks = valued(replace(frame, statistic="ks"), float(stats.ks_2samp(one, other).statistic))
    yield replace(ks, floor=float(stats.kstwobign.ppf(0.95)) * np.sqrt(inverse))
    yield valued(replace(frame, statistic="wasserstein"), float(stats.wasserstein_distance(one, other)) / spread)
    psi = valued(replace(frame, statistic="psi"), stability_index(one, other))
    yield replace(psi, floor=float(stats.chi2.ppf(0.95, BINS - 1)) * inverse)


def smd_error(smd: float, n_one: int, n_other: int) -> float:
    """Standard error of a standardised mean difference (Hedges & Olkin 1985, chapter 5, equation 14)."""
    total = n_one + n_other
    return float(np.sqrt(total / (n_one * n_other) + smd**2 / (2 * total)))


def stability_index(one: Values, other: Values) -> float:
    """Σ (p - q) ln(p / q) over the tenths of ``other``; half a patient is added to each bin, so that none is empty."""
    edges = np.quantile(other, np.arange(1, BINS) / BINS)
    shares = []
    for values in (one, other):
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=BINS) + 0.5
        shares.append(counts / counts.sum())
    return float(np.sum((shares[0] - shares[1]) * np.log(shares[0] / shares[1])))
