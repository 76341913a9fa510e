"""What a card is made of: the images, groups of them, and columns by patient."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from synthassay.card import CardRow
from synthassay.metrics.intervals import unit_codes
from synthassay.records import MIN_PATIENTS_FOR_INFERENCE, MISSING, ImageSet, Status

PLACES = ("site", "device")  # the columns that a card compares
FEWEST_PATIENTS = 10  # of a group; below it there is no number, only the reason why


@dataclass(frozen=True)
class Subject:
    """The real images. ``facts``: further numbers of each image, ``[n]``, NaN where missing (spacing, size)."""

    images: ImageSet
    facts: Mapping[str, NDArray[np.float64]]

    @cached_property
    def units(self) -> NDArray[np.int64]:
        """Patients as codes ``[n]``, by first appearance."""
        return unit_codes(self.images.patients)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for a cohort without labels."""
        return self.images.label_names if (self.images.labels >= 0).any() else ()

    def columns(self) -> Iterator[tuple[str, NDArray[np.str_]]]:
        """Site and device, where at least one image says it."""
        for name in PLACES:
            values = self.images.groups.get(name)
            if values is not None and bool((values != MISSING).any()):
                yield name, values

    def places(self) -> Iterator[tuple[str, NDArray[np.str_]]]:
        """:meth:`columns` without one that divides the images as an earlier one does."""
        seen: set[bytes] = set()
        for name, values in self.columns():
            division = unit_codes(values).tobytes()
            if division not in seen:
                yield name, values
            seen.add(division)

    def groups(self) -> Iterator[tuple[str, NDArray[np.int64]]]:
        """``"all"`` and each ``"column=value"``, with the rows of its images."""
        yield "all", np.arange(len(self.images))
        for name, values in self.columns():
            for value in sorted(set(values.tolist()) - {MISSING}):
                yield f"{name}={value}", np.flatnonzero(values == value)

    def patients(self, rows: NDArray[np.int64]) -> int:
        """How many patients the images at ``rows`` are of."""
        return len(np.unique(self.units[rows]))


def too_few(patients: int) -> str:
    """Why a group of ``patients`` has no number; empty where it has."""
    counted = f"{patients} patient{'' if patients == 1 else 's'}"
    return f"{counted}, fewer than {FEWEST_PATIENTS}" if patients < FEWEST_PATIENTS else ""


def absent(frame: CardRow, reason: str) -> CardRow:
    """``frame`` without a number, and why."""
    return replace(frame, status="absent", note=reason)


def valued(
    frame: CardRow, value: float, low: float | None = None, high: float | None = None, method: str = ""
) -> CardRow:
    """``frame`` with its number, descriptive where the patients are too few for inference."""
    status: Status = "ok" if frame.n_patients >= MIN_PATIENTS_FOR_INFERENCE else "descriptive"
    return replace(frame, value=value, ci_low=low, ci_high=high, ci_method=method, status=status)


def by_patient(values: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of each patient's known values; patients without one are left out. ``[patients]``, in code order."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(0)
    _, codes = np.unique(units[known], return_inverse=True)
    means: NDArray[np.float64] = np.bincount(codes, weights=values[known]) / np.bincount(codes)
    return means
