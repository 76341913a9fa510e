"""The data card: what is known about the real scans, group by group. Standard library and NumPy only.

Rows hold numbers over groups of patients, never an image or an id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synthassay.records import Status

Topic = Literal["prevalence", "missing", "people", "intensity", "spacing", "drift", "shortcut"]
QUANTILES = {"5th percentile": 0.05, "lower quartile": 0.25, "median": 0.5, "upper quartile": 0.75,
             "95th percentile": 0.95}  # fmt: skip
LEVELS = 64  # bins of an intensity histogram, over the full range of the stored pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRow:
    """One number about one group of patients.

    ``group`` is ``"all"`` or ``"column=value"``; ``against`` is the group that it is compared with, ``"others"`` for
    all other values of the column. ``cell`` counts the patients who have what a share is about. ``floor`` is what
    chance alone gives, with its range.
    """

    topic: Topic
    quantity: str  # what it is about: a class, a field, "age", "mean intensity"
    statistic: str  # "share of patients", "mean", "median", "smd", "auroc", ...
    group: str = "all"
    against: str = ""
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_method: str = ""
    floor: float | None = None
    floor_ci_low: float | None = None
    floor_ci_high: float | None = None
    unit: str = ""
    n_images: int = 0
    n_patients: int = 0  # of the smaller side of a comparison
    cell: int | None = None
    status: Status = "ok"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How the stored pixels of one group spread over their range: ``shares`` ``[64]`` float64, summing to 1."""

    group: str
    shares: NDArray[np.float64]
    n_images: int
    n_patients: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """All of it. ``notes`` say what the numbers rest on where this is not the whole cohort."""

    rows: Sequence[CardRow] = ()
    histograms: Sequence[Histogram] = ()
    notes: Sequence[str] = ()
