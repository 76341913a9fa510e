"""What a report is made of. Plain records: stages fill them in, nothing in here reads a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synthassay.card import DataCard
from synthassay.records import CohortTable, MetricResult, Origin

Audience = Literal["internal", "release"]
Unit = Literal["patient", "lesion", "image"]


def _check_uint8(owner: str, pixels: NDArray[Any], ndim: int) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != ndim or 0 in pixels.shape[1:]:
        axes = "[m, c, h, w]" if ndim == 4 else "[c, h, w]"
        raise ValueError(f"{owner} must be {axes} uint8, got {pixels.shape} {pixels.dtype}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A snapshot that could have been sampled: KID of its images against validation patients."""

    step: int
    kid: float
    standard_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which state of a training was sampled, and how it was chosen. ``candidates`` are in the order of their steps."""

    rule: str  # "kid-validation", or "last" where nothing was compared
    chosen: int  # after so many steps
    steps: int  # of the whole training
    reason: str = ""  # why nothing was compared
    encoder: str = ""
    images: int = 0  # of each candidate and of validation
    patients: int = 0  # of validation; 0: withheld
    candidates: Sequence[Candidate] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSummary:
    """One set under test. ``name`` is the ``generator`` of its results."""

    name: str
    origin: Origin  # "generator", "external" or "control"; "real" sets are not under test
    images: int
    units: int | None  # resampling units: source patients of a control, images of a generated set; None: withheld
    settings_digest: str = ""  # of the generator's settings without its seed: which runs may be averaged over seeds
    description: str = ""  # one phrase: "EDM diffusion, 4,000 steps, conditioned on the label"
    selection: Selection | None = None  # of a trained generator
    positive_control: bool = False  # a generator that was trained to memorise, and has to be flagged


@dataclass(frozen=True, slots=True, kw_only=True)
class GridCell:
    """Sample images of one set with one label from one site. ``images`` is ``[m, c, h, w]`` uint8 over 0..255."""

    set_name: str
    label: str
    site: str  # "" where the set has no site
    images: NDArray[np.uint8]

    def __post_init__(self) -> None:
        _check_uint8("GridCell.images", self.images, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Counterfactuals of one generator and one condition: the same seeds with nothing else changed.

    ``images`` ``[s, v, c, h, w]`` uint8: seed by value. A released page has neither images nor values. The changes are
    means over more seeds than are shown, as shares of the grey range.
    """

    generator: str
    column: str
    values: Sequence[str]  # [v]
    reference: int  # index of the value that the others are held against
    left_out: int  # values that are not shown
    images: NDArray[np.uint8]
    others: Sequence[str]  # [s] conditions that stay, "" where there is no other
    unseen: NDArray[np.bool_]  # [s, v] not seen together in training
    change: float  # mean absolute change with the condition
    other: float  # mean absolute change with the seed
    share: float | None  # change / other; None where another seed changes nothing
    ci_low: float | None  # of share, over seeds
    ci_high: float | None
    seeds: int

    def __post_init__(self) -> None:
        if self.images.shape[:2] != self.unseen.shape or self.unseen.shape != (len(self.others), len(self.values)):
            raise ValueError(f"Strip: {self.images.shape} images, {self.unseen.shape} marks, {len(self.others)} seeds "
                             f"and {len(self.values)} values do not belong together")  # fmt: skip
        for row in self.images:
            _check_uint8("Strip.images", row, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedPair:
    """A synthetic image beside its nearest training image, both ``[c, h, w]`` uint8. Never leaves the organisation.

    ``score`` is the copy ratio: distance to the nearest training patient over the mean distance to the next ones;
    lower means more alike. ``train`` is shown as it was matched, so mirrored when ``mirrored`` is true.
    """

    generator: str
    synthetic: NDArray[np.uint8]
    train: NDArray[np.uint8]
    score: float
    space: str
    mirrored: bool = False

    def __post_init__(self) -> None:
        _check_uint8("CopiedPair.synthetic", self.synthetic, 3)
        _check_uint8("CopiedPair.train", self.train, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossCurve:
    """Training record of one generator: ``columns["step"]`` and one column per loss, all ``[rows]`` float."""

    generator: str
    columns: Mapping[str, NDArray[np.float64]]

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self.columns.values()}
        if "step" not in self.columns or len(lengths) > 1:
            raise ValueError("LossCurve.columns needs a 'step' column and columns of one length")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTiming:
    """What one stage cost. ``found_done``: an earlier run had finished it, and the figures are that run's."""

    stage: str
    seconds: float
    peak_memory_mb: float | None = None
    found_done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortCount:
    """Images and patients of one group of a cohort. Both are None where withheld from a released page."""

    column: str  # "split", "site", "device", "label", "sex", "age_band"; one table per column, in order of appearance
    value: str  # "" where the scans do not say
    patients: int | None
    images: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortSummary:
    """The real scans: how many, of whom, how they were read, and what they cannot answer."""

    name: str
    unit: Unit = "patient"  # what an id stands for, and so what counts as a patient
    label: str  # what the label says, for example "lesion"; "" where no image has one
    positive: str  # name of the class that downstream tasks predict
    patients: int
    images: int
    shape: tuple[int, ...]  # channels, (slices,) rows, columns
    bits: int
    counts: Sequence[CohortCount] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)  # the written intensity policy
    external: Sequence[str] = ()  # sites or devices kept out
    notes: Sequence[str] = ()  # facts that limit what the cohort can answer, as sentences
    tables: Sequence[CohortTable] = ()  # how the scans were read


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """All of one run's report. Text may come from scan headers and is untrusted; it is escaped where it is written."""

    title: str
    run_id: str  # hash of everything that changes the result
    seed: int
    cohort: CohortSummary
    sets: Sequence[SetSummary]
    results: Sequence[MetricResult]
    audience: Audience = "internal"
    card: DataCard = field(default_factory=DataCard)
    settings: Mapping[str, Any] = field(default_factory=dict)  # the run's configuration, nested
    grids: Sequence[GridCell] = ()  # columns appear in the order of their first cell
    grid_left_out: Mapping[str, int] = field(default_factory=dict)  # how many sites and labels have no row in them
    strips: Sequence[Strip] = ()
    pairs: Sequence[CopiedPair] = ()
    losses: Sequence[LossCurve] = ()
    quarantine: Mapping[str, int] = field(default_factory=dict)  # files not used, by reason
    notes: Sequence[str] = ()
    timings: Sequence[StageTiming] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)  # versions, hardware, digests; nested
