"""Who is in the cohort, by site and device: classes, age and sex, what is missing, and how scans were sampled."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from synthassay.card import QUANTILES, CardRow, Topic
from synthassay.metrics.card.subject import Subject, absent, by_patient, too_few, valued
from synthassay.metrics.intervals import clustered_mean_interval, share_interval, t_interval, wilson
from synthassay.records import GROUP_COLUMNS, MISSING

MOST_CLASSES = 20


def prevalence_rows(subject: Subject) -> Iterator[CardRow]:
    """Each class as a share of patients (with such an image; Wilson) and of images (clustered by patient)."""
    labels = subject.images.labels
    for group, rows in subject.groups():
        rows = rows[labels[rows] >= 0]
        for index, name in enumerate(subject.classes[:MOST_CLASSES]):
            yield _patients_share("prevalence", name, group, labels[rows] == index, subject.units[rows])
            yield _images_share(name, group, labels[rows] == index, subject.units[rows])


def _patients_share(topic: Topic, name: str, group: str, has: NDArray[np.bool_], units: NDArray[np.int64]) -> CardRow:
    everybody, holders = len(np.unique(units)), len(np.unique(units[has]))
    frame = CardRow(topic=topic, quantity=name, statistic="share of patients", group=group, n_images=len(has),
                    n_patients=everybody, cell=holders)  # fmt: skip
    if reason := too_few(everybody):
        return absent(frame, reason)
    interval = wilson(holders, everybody)
    return valued(frame, holders / everybody, interval.low, interval.high, interval.method)


def _images_share(name: str, group: str, has: NDArray[np.bool_], units: NDArray[np.int64]) -> CardRow:
    everybody = len(np.unique(units))
    frame = CardRow(topic="prevalence", quantity=name, statistic="share of images", group=group, n_images=len(has),
                    n_patients=everybody, cell=len(np.unique(units[has])))  # fmt: skip
    if reason := too_few(everybody):
        return absent(frame, reason)
    share = float(has.mean())
    interval = share_interval(share, clustered_mean_interval(has, units), everybody)
    return valued(frame, share, interval.low, interval.high, interval.method)


def missing_rows(subject: Subject) -> Iterator[CardRow]:
    """The share of images of which a field is not known. A count, so there is no interval."""
    images = subject.images
    fields = {name: images.groups[name] == MISSING for name in GROUP_COLUMNS if name in images.groups}
    fields.pop("age_band", None)
    fields |= {name: ~np.isfinite(values) for name, values in images.covariates.items() if name == "age"}
    fields |= {"label": images.labels < 0}
    fields |= {name: ~np.isfinite(values) for name, values in subject.facts.items()}
    for group, rows in subject.groups():
        for name, unknown in fields.items():
            units = subject.units[rows]
            yield CardRow(
                topic="missing", quantity=name, statistic="share of images", group=group, n_images=len(rows),
                value=float(unknown[rows].mean()), n_patients=len(np.unique(units)),
                cell=len(np.unique(units[unknown[rows]])),
            )  # fmt: skip


def people_rows(subject: Subject) -> Iterator[CardRow]:
    """Age of patients (mean with interval, quantiles) and the share of each sex among those of known sex."""
    images = subject.images
    ages = images.covariates.get("age", np.full(len(images), np.nan)).astype(np.float64)
    sexes = images.groups.get("sex", np.full(len(images), MISSING))
    known = sorted(set(sexes.tolist()) - {MISSING})
    for group, rows in subject.groups():
        yield from _spread("people", "age", "years", group, ages[rows], subject.units[rows])
        stated = rows[sexes[rows] != MISSING]
        for sex in known:
            yield _patients_share("people", f"sex {sex}", group, sexes[stated] == sex, subject.units[stated])


def spacing_rows(subject: Subject) -> Iterator[CardRow]:
    """Pixel spacing, slice distance and size of the source, over patients."""
    for group, rows in subject.groups():
        for name, values in subject.facts.items():
            unit = "mm" if name.endswith("spacing") else "pixels"
            yield from _spread("spacing", name, unit, group, values[rows], subject.units[rows])


def _spread(
    topic: Topic, name: str, unit: str, group: str, values: NDArray[np.float64], units: NDArray[np.int64]
) -> Iterator[CardRow]:
    means = by_patient(values, units)
    if not len(means):
        return  # what nobody has is told by what is missing
    frame = CardRow(topic=topic, quantity=name, statistic="mean", group=group, unit=unit, n_patients=len(means),
                    n_images=int(np.isfinite(values).sum()))  # fmt: skip
    if reason := too_few(len(means)):
        yield absent(frame, reason)
        return
    error = float(means.std(ddof=1)) / np.sqrt(len(means))
    interval = t_interval(float(means.mean()), float(error), len(means), method="mean over patients")
    yield valued(frame, float(means.mean()), interval.low, interval.high, interval.method)
    yield valued(replace(frame, statistic="standard deviation"), float(means.std(ddof=1)))
    for statistic, level in QUANTILES.items():
        yield valued(replace(frame, statistic=statistic), float(np.quantile(means, level)))
