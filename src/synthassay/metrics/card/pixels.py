"""What pixels say: a histogram, a few measures and a few features of each image, in one pass over the images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.card import LEVELS, CardRow, Histogram
from synthassay.metrics.card.subject import Subject, absent, too_few, valued
from synthassay.metrics.groups import whole_patient_subset
from synthassay.metrics.intervals import clustered_mean_interval
from synthassay.records import Progress
from synthassay.seeding import numpy_generator

MOST_IMAGES = 20_000  # of whole patients; more would change no second digit
BLOCK = 1 << 22  # pixels looked at at once: 16 MiB as float32
GRID = 8  # rows and columns of the thumbnail among the features
RINGS = 12  # of the power spectrum
MEASURES = ("mean intensity", "contrast", "dark end", "bright end", "sharpness")


@dataclass(frozen=True, slots=True)
class PixelFacts:
    """Of the images at ``rows`` of the subject: ``counts`` ``[k, 64]``, shares of pixels; ``measures`` ``[k, 5]`` by
    :data:`MEASURES`, in units of the full range; ``features`` ``[k, f]``, what a classifier of places may look at."""

    rows: NDArray[np.int64]
    counts: NDArray[np.float64]
    measures: NDArray[np.float64]
    features: NDArray[np.float64]


def pixel_facts(subject: Subject, progress: Progress) -> PixelFacts:
    """Look at all images, or at 20,000 of whole patients.

    Mean intensity and contrast (standard deviation) of an image, its 5th and 95th percentile, and its sharpness: the
    mean absolute difference of neighbouring pixels of a slice. Features: the square roots of the histogram, a thumbnail
    of 8 × 8 for each channel, and the logarithm of the power at 12 spatial frequencies; of a volume the mean slice and
    the middle one.
    """
    rows = np.arange(len(subject.images))
    if len(rows) > MOST_IMAGES:
        rows = whole_patient_subset(subject.units, MOST_IMAGES, numpy_generator("card", "images"))
    parts = []
    progress.start("describe images", len(rows))
    step = max(1, BLOCK // int(np.prod(subject.images.pixels.shape[1:])))
    for start in range(0, len(rows), step):
        parts.append(_measured(subject, rows[start : start + step]))
        progress.advance(len(rows[start : start + step]))
    progress.finish()
    counts, measures, features = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return PixelFacts(rows, counts, measures, features)


def _measured(
    subject: Subject, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    pixels = np.asarray(subject.images.pixels[rows], np.float32) / subject.images.pixel_max  # [k, c, (d,) h, w]
    grey = pixels.mean(1)
    counts = _histograms(grey)
    flat = grey.reshape(len(grey), -1)
    low, high = np.percentile(flat, (5, 95), axis=1)
    steps = [np.abs(np.diff(grey, axis=axis)).reshape(len(grey), -1).mean(1) for axis in (-2, -1)]
    measures = np.stack([flat.mean(1), flat.std(1), low, high, (steps[0] + steps[1]) / 2], axis=1)
    small = _shrunk(pixels if pixels.ndim == 4 else pixels.mean(2)).reshape(len(pixels), -1)
    plane = grey if grey.ndim == 3 else grey[:, grey.shape[1] // 2]
    features = np.concatenate([np.sqrt(counts), small, _spectrum(plane)], axis=1)
    return counts, measures.astype(np.float64), features.astype(np.float64)


def _histograms(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """``[k, (d,) h, w]`` in 0..1 → ``[k, 64]`` shares."""
    level = np.minimum((grey.reshape(len(grey), -1) * LEVELS).astype(np.int64), LEVELS - 1)
    places = level + LEVELS * np.arange(len(grey))[:, None]
    counts = np.bincount(places.ravel(), minlength=LEVELS * len(grey)).reshape(len(grey), LEVELS)
    return np.asarray(counts / level.shape[1], np.float64)


def _shrunk(pixels: NDArray[Any]) -> NDArray[Any]:
    """``[k, c, h, w]`` → ``[k, c, 8, 8]``: means of equal parts, the last ones a little larger where 8 does not fit."""
    for axis in (2, 3):
        edges = np.arange(GRID) * pixels.shape[axis] // GRID
        sizes = np.diff(np.append(edges, pixels.shape[axis]))
        shape = [1, 1, 1, 1]
        shape[axis] = GRID
        pixels = np.add.reduceat(pixels, edges, axis=axis) / sizes.reshape(shape)
    return pixels


def _spectrum(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """``[k, h, w]`` → ``[k, 12]``: the logarithm of the mean power in rings of equal width, without the mean."""
    power = np.abs(np.fft.rfft2(grey - grey.mean((1, 2), keepdims=True))) ** 2
    vertical, horizontal = np.fft.fftfreq(grey.shape[1])[:, None], np.fft.rfftfreq(grey.shape[2])[None]
    ring = np.minimum((2 * RINGS * np.hypot(vertical, horizontal)).astype(np.int64), RINGS - 1).ravel()
    one_hot = np.eye(RINGS)[ring]
    sums = power.reshape(len(power), -1) @ (one_hot / np.maximum(one_hot.sum(0), 1))
    logs: NDArray[np.float64] = np.log10(sums + 1e-9)
    return logs


def intensity_rows(subject: Subject, facts: PixelFacts) -> Iterator[CardRow]:
    """The mean over images of each measure, clustered by patient."""
    for group, where in _groups(subject, facts):
        units = subject.units[facts.rows[where]]
        for column, name in enumerate(MEASURES):
            frame = CardRow(topic="intensity", quantity=name, statistic="mean", group=group, n_images=len(where),
                            n_patients=len(np.unique(units)), unit="of the full range")  # fmt: skip
            if reason := too_few(frame.n_patients):
                yield absent(frame, reason)
                continue
            values = facts.measures[where, column]
            interval = clustered_mean_interval(values, units).clipped(0.0, 1.0)
            yield valued(frame, float(values.mean()), interval.low, interval.high, interval.method)


def histograms(subject: Subject, facts: PixelFacts) -> list[Histogram]:
    """The spread of all pixels of each group, each image counting the same; none of a group of few patients."""
    return [
        Histogram(group=group, shares=facts.counts[where].mean(0), n_images=len(where), n_patients=patients)
        for group, where in _groups(subject, facts)
        if not too_few(patients := subject.patients(facts.rows[where]))
    ]


def _groups(subject: Subject, facts: PixelFacts) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Each group of the subject, as positions within ``facts``."""
    for group, rows in subject.groups():
        where = np.flatnonzero(np.isin(facts.rows, rows))
        if len(where):
            yield group, where
