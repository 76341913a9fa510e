"""The records that flow between the stages. Standard library and NumPy only."""

import hashlib
import math
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Split = Literal["generator-train", "control-a", "control-b", "validation", "test", "external"]
SPLITS: tuple[Split, ...] = ("generator-train", "control-a", "control-b", "validation", "test", "external")
Origin = Literal["real", "generator", "control", "external"]
Status = Literal["ok", "descriptive", "insufficient evidence", "absent"]

UNLABELLED = -1
UNLABELLED_NAMES = ("unlabelled",)  # the classes of a cohort without labels
UNKNOWN_MASK = 255  # at every pixel of an image whose mask is not known
MISSING = ""
GROUP_COLUMNS = ("site", "device", "view", "sex", "age_band")
COVARIATES = ("age", "slice_position")
MIN_PATIENTS_FOR_INFERENCE = 20  # below it an interval is descriptive and can pass nothing

Identity = tuple[tuple[str, str], ...]


def identity(**parts: object) -> Identity:
    """What must be equal for two values to be comparable, as sorted (name, text) pairs."""
    return tuple(sorted((name, str(value)) for name, value in parts.items()))


def identity_differences(a: Identity, b: Identity) -> list[tuple[str, str, str]]:
    """The (name, value in a, value in b) that differ; an absent part reads ``"(absent)"``."""
    left, right = dict(a), dict(b)
    names = sorted(left.keys() | right.keys())
    rows = [(name, left.get(name, "(absent)"), right.get(name, "(absent)")) for name in names]
    return [row for row in rows if row[1] != row[2]]


def content_digest(*arrays: NDArray[Any]) -> str:
    """sha256 (hex) over dtype, shape and values of ``arrays``, in order; reads memory maps in blocks."""
    digest = hashlib.sha256()
    for array in arrays:
        if array.dtype == object:
            array = array.astype(np.str_)
        if array.dtype.kind == "U":  # a fixed-width string's digest must not depend on the width
            digest.update(f"str{array.shape}".encode())
            digest.update("\x1f".join(array.ravel().tolist()).encode())
            continue
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        block = max(1, (1 << 24) // max(1, array[:1].nbytes)) if array.ndim else 1
        for start in range(0, len(array) if array.ndim else 0, block):
            digest.update(np.ascontiguousarray(array[start : start + block]).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRecord:
    """One image of a cohort and what is known about it. Holds pseudonyms only; missing text is ``None``."""

    scan_id: str
    patient_id: str
    study_id: str
    label: int = UNLABELLED  # index into the cohort's label_names
    site: str | None = None
    device: str | None = None
    manufacturer: str | None = None  # one spelling for each; this and the next five as far as header or sidecar say
    model: str | None = None
    software: str | None = None
    field_strength_t: float | None = None
    kvp: float | None = None
    kernel: str | None = None  # of the reconstruction
    view: str | None = None
    sex: str | None = None  # "F", "M" or "O"
    age: float | None = None  # years
    date_shift_days: int | None = None  # days since the patient's first acquisition
    path_hmac: str = ""
    content_hmac: str = ""
    spacing_mm: tuple[float, ...] | None = None  # row, column(, slice) spacing of the source
    orientation: str | None = None
    slice_index: int | None = None
    source_rows: int | None = None  # before resizing
    source_columns: int | None = None
    slice_position: float | None = None  # 0 = first slice of its volume, 1 = last


def _checked_columns(owner: object, n: int, columns: Mapping[str, Sized | None]) -> None:
    for name, column in columns.items():
        if column is not None and len(column) != n:
            raise ValueError(f"{type(owner).__name__}.{name} has {len(column)} rows, expected {n}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """Images, real or synthetic, and their table.

    ``pixels``: ``[n, c, h, w]``, of volumes ``[n, c, d, h, w]``, uint8 or uint16 over the full range of the dtype (0 is
    the window's low end, the dtype's maximum its high end); may be a read-only memory map. ``patients`` is the
    resampling unit: the pseudonymous patient of a real image, the source patient of a control made from real images,
    and the image itself for a generated one. ``groups[column]`` is ``[n]`` text, ``""`` where missing;
    ``covariates[column]`` is ``[n]`` float32, NaN where missing. ``masks``: ``[n, (d,) h, w]`` uint8 on the grid of the
    pixels, the index of a class in ``mask_names``, of which 0 is the background; ``UNKNOWN_MASK`` at every pixel of an
    image whose mask is not known.
    """

    name: str
    origin: Origin
    pixels: NDArray[Any]
    ids: NDArray[np.str_]
    patients: NDArray[np.str_]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    covariates: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    split: Split | None = None
    seeds: NDArray[np.int64] | None = None
    generator_key: str | None = None
    masks: NDArray[np.uint8] | None = None
    mask_names: tuple[str, ...] = ()
    content_id: str = ""

    def __post_init__(self) -> None:
        if self.pixels.ndim not in (4, 5) or self.pixels.dtype not in (np.uint8, np.uint16):
            found = f"{self.pixels.shape} {self.pixels.dtype}"
            raise ValueError(f"ImageSet.pixels must be [n, c, (d,) h, w] uint8 or uint16, got {found}")
        columns = {"ids": self.ids, "patients": self.patients, "labels": self.labels, "seeds": self.seeds}
        _checked_columns(self, len(self.pixels), {**columns, **self.groups, **self.covariates})
        self._check_masks()
        if not self.content_id:
            patient_index = np.unique(self.patients, return_inverse=True)[1]
            first = np.zeros(int(patient_index.max(initial=-1)) + 1, np.int64)
            first[patient_index[::-1]] = np.arange(len(patient_index))[::-1]
            # Patients enter by first appearance, not by pseudonym: another key must not change the content.
            parts = [self.pixels, self.labels, first[patient_index], *self._columns(), self._headings()]
            if self.masks is not None:
                parts += [self.masks, np.array(self.mask_names, np.str_)]
            object.__setattr__(self, "content_id", content_digest(*parts))

    def _check_masks(self) -> None:
        if self.masks is None:
            if self.mask_names:
                raise ValueError("ImageSet.mask_names without masks")
            return
        expected = (len(self.pixels), *self.pixels.shape[2:])
        if self.masks.shape != expected or self.masks.dtype != np.uint8:
            found = f"{self.masks.shape} {self.masks.dtype}"
            raise ValueError(f"ImageSet.masks must be {expected} uint8, got {found}")
        if not 2 <= len(self.mask_names) <= UNKNOWN_MASK:
            raise ValueError(f"ImageSet.mask_names must name the background and 1 to {UNKNOWN_MASK - 1} classes")

    def _columns(self) -> list[NDArray[Any]]:
        return [table[name] for table in (self.groups, self.covariates) for name in sorted(table)]

    def _headings(self) -> NDArray[np.str_]:
        return np.array([*self.label_names, "|", *sorted(self.groups), "|", *sorted(self.covariates)], np.str_)

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def pixel_max(self) -> int:
        """255 or 65535."""
        return int(np.iinfo(self.pixels.dtype).max)

    @property
    def mask_known(self) -> NDArray[np.bool_]:
        """``[n]``: which images have a known mask."""
        if self.masks is None:
            return np.zeros(len(self), bool)
        # A mask is unknown as a whole, so that its first pixel tells.
        return np.asarray(self.masks.reshape(len(self), -1)[:, 0] != UNKNOWN_MASK)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_], **changes: Any) -> Self:
        """The images at ``rows`` (indices or mask), with ``changes`` to other fields."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return replace(
            self,
            pixels=self.pixels[index],
            ids=self.ids[index],
            patients=self.patients[index],
            labels=self.labels[index],
            groups={k: v[index] for k, v in self.groups.items()},
            covariates={k: v[index] for k, v in self.covariates.items()},
            seeds=None if self.seeds is None else self.seeds[index],
            masks=None if self.masks is None else self.masks[index],
            **({"content_id": ""} | changes),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A file that was not used: where (relative to the root) and why."""

    path: str
    field: str
    found: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortTable:
    """A small table about a cohort, for its card in the report: what was read, merged, joined or left out.

    ``rows`` are texts, one for each of ``columns``; no id and no path is among them. ``patients`` counts the patients
    behind each row: a release withholds rows of few patients, and a table that does not say altogether.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    patients: tuple[int, ...] | None = None
    note: str = ""  # one sentence above the table

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of the table {self.title!r} has not one text for each of its columns")
        _checked_columns(self, len(self.rows), {"patients": self.patients})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Real scans after preparation. ``splits`` is ``[n]`` text, one of :data:`SPLITS`."""

    name: str
    images: ImageSet
    splits: NDArray[np.str_]
    records: Sequence[ScanRecord]
    label: str  # what the label says, for example "lesion"
    positive: int  # the class that downstream tasks predict
    policy: Mapping[str, Any]  # the written intensity policy: window, percentiles, where taken, size, bits
    quarantined: Sequence[Quarantined] = ()
    notes: Sequence[str] = ()  # facts that limit what the cohort can answer, as sentences
    tables: Sequence[CohortTable] = ()  # how the scans were read
    _taken: dict[tuple[Split, ...], ImageSet] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _checked_columns(self, len(self.images), {"splits": self.splits})
        pairs = {(p, s) for p, s in zip(self.images.patients.tolist(), self.splits.tolist(), strict=True)}
        if len(pairs) != len({p for p, _ in pairs}):
            raise ValueError("a patient is in more than one split")

    @property
    def content_id(self) -> str:
        """Digest of images, labels, groups and splits; independent of paths and of the pseudonym key."""
        return hashlib.sha256(f"{self.images.content_id}{content_digest(self.splits)}".encode()).hexdigest()

    def split(self, *names: Split) -> ImageSet:
        """The images of one split (or of both controls); may be empty. Mixtures other than the controls are refused."""
        if len(names) != 1 and set(names) != {"control-a", "control-b"}:
            raise ValueError(f"splits {names} must not be mixed")
        if names not in self._taken:  # kept, since the digest of a split reads all its pixels
            mask = np.isin(self.splits, list(names))
            split = names[0] if len(names) == 1 else None
            self._taken[names] = self.images.take(mask, name="real/" + "+".join(names), split=split)
        return self._taken[names]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """Features of an image set: ``features`` is ``[n, d]`` float32; the other columns are those of the images."""

    name: str
    origin: Origin
    features: NDArray[np.float32]
    ids: NDArray[np.str_]
    patients: NDArray[np.str_]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    encoder: str  # short name, for tables
    encoder_identity: Identity  # weights digest, resize rule, dtype, channel rule
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    split: Split | None = None
    content_id: str = ""  # of the images

    def __post_init__(self) -> None:
        columns = {"ids": self.ids, "patients": self.patients, "labels": self.labels}
        _checked_columns(self, len(self.features), {**columns, **self.groups})

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_], **changes: Any) -> Self:
        """The rows at ``rows`` (indices or mask)."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        groups = {k: v[index] for k, v in self.groups.items()}
        return replace(
            self,
            features=self.features[index],
            ids=self.ids[index],
            patients=self.patients[index],
            labels=self.labels[index],
            groups=groups,
            **changes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """Scores of one trained classifier on held-out real images: ``scores`` ``[n]`` in [0, 1] for the positive class."""

    arm: str  # "real", "synthetic", "both", "real-long", "metadata"
    generator: str  # the set that was trained on, or "" for arms without one
    seed: int
    split: Split
    ids: NDArray[np.str_]
    patients: NDArray[np.str_]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]  # 1 = positive class
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    threshold: float = math.nan  # fixed on validation


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricResult:
    """One number with what is needed to believe it. ``value`` is None unless status is ok, descriptive or insufficient.

    ``identity`` holds everything that must agree before two values are compared (definition, encoder, reference,
    counts), never the generator or the training seed. ``floor`` is the same metric for real control patients.
    """

    family: Literal["fidelity", "memorisation", "privacy", "downstream"]
    metric: str
    generator: str  # the set under test
    encoder: str = ""
    variant: str = ""  # "patient-aware", "classic", or an arm
    reference: str = ""  # "test", "generator-train", "external", or the arm compared against
    group: str = "all"  # "all" or "column=value"
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_method: str = ""
    unit: str = ""  # of the value: "1", "per 1,000 images", "squared feature distance"
    resampling_unit: str = "patient"
    n_real: int = 0
    n_synthetic: int = 0
    n_patients: int = 0  # of the side that limits the interval
    floor: float | None = None
    floor_ci_low: float | None = None
    floor_ci_high: float | None = None
    identity: Identity = ()
    higher_is_better: bool | None = None
    status: Status = "ok"
    note: str = ""
    seed: int | None = None

    def to_row(self) -> dict[str, Any]:
        """A flat mapping with one key per field; identity as ``"name=value; ..."``."""
        row = {f.name: getattr(self, f.name) for f in fields(self)}
        row["identity"] = "; ".join(f"{name}={value}" for name, value in self.identity)
        return row


class Progress(Protocol):
    """Where long work reports to. ``values`` are numbers worth plotting (a loss), at optimiser step ``step``."""

    def start(self, what: str, total: int, done: int = 0) -> None:
        """Begin a bar of ``total`` units of which ``done`` were done by an earlier process."""

    def advance(self, n: int = 1) -> None:
        """``n`` more units are done."""

    def log(self, step: int, **values: float) -> None:
        """Record values of the work under way."""

    def finish(self) -> None:
        """End the bar."""

    def fork(self) -> "Progress":
        """Another bar beside this one, for work that runs at the same time."""


class SilentProgress:
    """A :class:`Progress` that shows nothing."""

    def start(self, what: str, total: int, done: int = 0) -> None:
        """Ignore."""

    def advance(self, n: int = 1) -> None:
        """Ignore."""

    def log(self, step: int, **values: float) -> None:
        """Ignore."""

    def finish(self) -> None:
        """Ignore."""

    def fork(self) -> "SilentProgress":
        """Itself."""
        return self
