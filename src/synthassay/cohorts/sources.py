"""What the readers pass on. Holds source ids and paths, so none of it leaves :mod:`synthassay.cohorts`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthassay.scans.devices import NO_FACTS, DeviceFacts
from synthassay.scans.dicom.series import Stack
from synthassay.scans.dicom.slices import SliceFacts
from synthassay.scans.findings import Findings
from synthassay.scans.natures import Nature


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One scan as far as it is known without its pixels: a file, a row of an array file, or a volume of several files.

    ``path`` is relative to the root. Of a scan in an array file, ``file`` is the path of the file, ``array`` the name
    of the array and ``row`` the scan's row; ``path`` then goes on inside the file.
    """

    path: str
    patient: str
    study: str
    series: str
    uid: str = ""  # SOP Instance UID
    site: str | None = None
    device: str | None = None
    scanner: DeviceFacts = NO_FACTS
    view: str | None = None
    sex: str | None = None
    age: float | None = None
    age_then: float | None = None  # of BIDS's sessions.tsv, which is closer to the scan than a table of patients
    day: int | None = None  # acquisition date as a proleptic ordinal
    label: str | None = None  # as written in the source
    mask: str | None = None  # path of its mask, relative to the root
    merged_from: str | None = None  # the patient's own id where it was merged with another's: see duplicates
    modality: str | None = None
    overlays: int = 0  # graphics that a DICOM file carries beside its pixels
    padded: bool = False  # a DICOM file that names a value for what was not scanned
    natures: frozenset[Nature] = frozenset()  # of a DICOM file that is no plain scan
    slices: tuple[SliceFacts, ...] = ()  # of a DICOM file: what tells where its frames lie
    carried: Findings = frozenset()  # about people, of a file whose description is more than its header
    stack: Stack | None = None  # the slices of a volume, where it is one of several DICOM files or a part of one
    file: str = ""
    array: str = ""
    row: int | None = None

    @property
    def on_disk(self) -> str:
        """Path of the (first) file that holds the scan, relative to the root."""
        return self.file or self.path

    @property
    def parts(self) -> tuple[str, ...]:
        """All its files, the first one first."""
        return (self.on_disk,) if self.stack is None else self.stack.paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One image within a file, or a volume. ``slice_position`` runs from 0 to 1; ``digest`` is of its pixels."""

    frame: int
    slice_index: int | None
    slice_position: float | None
    foreground: float
    digest: str
    mask_digest: str | None = None  # of the mask that is kept
    mask_pixels: int | None = None
    spacing_mm: tuple[float, ...] | None = None
    orientation: str | None = None
    source_rows: int | None = None
    source_columns: int | None = None
    filled: int = 0  # voxels of its file that are no numbers, and were taken for background
    disputed: bool = False  # the file says twice how its voxels lie, and not the same
    few_values: bool = False  # the file has hardly any different values, as masks have


@dataclass(frozen=True, slots=True, kw_only=True)
class FileImages:
    """All images of one file: ``pixels`` ``[k, c, (d,) h, w]`` float32 in rescaled units, one plane each.

    ``masks``: ``[k, (d,) h, w]`` uint8, class indices, where the cohort keeps masks.
    """

    pixels: NDArray[np.float32]
    planes: tuple[Plane, ...]
    sha256: str
    masks: NDArray[np.uint8] | None = None
    carried: Findings = frozenset()  # about people, beyond what was found before the pixels were read


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image that was read: its file, its plane, and where its pixels lie (which file of pixels, and row)."""

    source: Source
    plane: Plane
    sha256: str
    chunk: int
    row: int
    carried: Findings = frozenset()  # by the file, about people
