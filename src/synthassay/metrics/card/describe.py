"""The whole card of one cohort."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from synthassay.card import DataCard
from synthassay.metrics.card.composition import missing_rows, people_rows, prevalence_rows, spacing_rows
from synthassay.metrics.card.drift import drift_rows
from synthassay.metrics.card.pixels import histograms, intensity_rows, pixel_facts
from synthassay.metrics.card.shortcut import shortcut_rows
from synthassay.metrics.card.subject import Subject
from synthassay.records import ImageSet, Progress


def describe(images: ImageSet, facts: Mapping[str, NDArray[np.float64]], *, seed: int, progress: Progress) -> DataCard:
    """The card of the real ``images``, all splits together: nothing that is trained or judged looks at it.

    ``facts``: further numbers of each image, ``[n]``, NaN where missing; names that end in ``spacing`` are in mm.
    Groups of fewer than 10 patients have a reason in place of a number; under 20, numbers are descriptive.
    """
    subject = Subject(images, facts)
    pixels = pixel_facts(subject, progress)
    places, columns = (dict(part) for part in (subject.places(), subject.columns()))
    notes = [f"The {name} of an image follows from its {next(iter(places))} and the reverse: what is said of one is "
             "said of the other." for name in columns if name not in places]  # fmt: skip
    if len(pixels.rows) < len(images):
        notes.append(f"Pixels were looked at in {len(pixels.rows):,} of {len(images):,} images, of whole patients.")
    rows = [
        *prevalence_rows(subject), *missing_rows(subject), *people_rows(subject), *spacing_rows(subject),
        *intensity_rows(subject, pixels), *drift_rows(subject, pixels), *shortcut_rows(subject, pixels, seed),
    ]  # fmt: skip
    return DataCard(rows=rows, histograms=histograms(subject, pixels), notes=notes)
