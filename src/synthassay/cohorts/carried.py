"""What the files of a cohort carry about people, counted: attributes, files, patients and series, never a value."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from synthassay.cohorts.sources import Image
from synthassay.records import CohortTable
from synthassay.scans.dicom.confidentiality import EDITION
from synthassay.scans.findings import KINDS, Finding, Findings

FIRST = ("PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "PatientAddress", "PatientIdentityRemoved")
MOST_LISTED = 6  # attributes of a kind, in the short table
NOTE = (f"Held against the basic profile of DICOM PS3.15, edition {EDITION}. The store keeps none of it but site, "
        "device, view, sex and age: ids become keyed pseudonyms, dates days since a patient's first scan.")  # fmt: skip
LOOKED_AT = {"dicom": "headers, names and columns", "nifti": "headers, sidecars, names and columns",
             "images": "names and columns"}  # fmt: skip
_Key = TypeVar("_Key")
CODES = "X: remove, Z: empty, D: put a dummy, U: put another UID, clean: take out of the text."


@dataclass(frozen=True, slots=True)
class Carried:
    """What one file carries, and of whom. Holds source ids, so it does not leave the room."""

    findings: Findings
    patient: str | None  # None: a table, which is of many
    series: str | None


def with_findings(carried: Mapping[str, Carried], images: Iterable[Image]) -> dict[str, Carried]:
    """``carried``, by path, with what was found in the same files when their images were read."""
    more = {image.source.path: image.carried for image in images if image.carried}
    return {path: replace(one, findings=one.findings | more.get(path, frozenset())) for path, one in carried.items()}


@dataclass(slots=True)
class _Count:
    files: int = 0
    patients: set[str] = field(default_factory=set)
    series: set[str] = field(default_factory=set)

    def add(self, carried: Carried, files: int) -> None:
        self.files += files
        self.patients |= {carried.patient} if carried.patient else set()
        self.series |= {carried.series} if carried.series else set()

    @property
    def texts(self) -> tuple[str, str, str]:
        return f"{self.files:,}", f"{len(self.patients):,}", f"{len(self.series):,}"


def header_tables(carried: Mapping[str, Carried]) -> list[CohortTable]:
    """Two tables about ``carried``, which is by path: one row for each kind of finding, one row for each attribute."""
    alike = Counter(carried.values())  # files of a series carry the same
    kinds = _counted(alike, lambda findings: {finding.kind for finding in findings})
    attributes = _counted(alike, lambda findings: findings)
    order = sorted(attributes, key=lambda one: ([*KINDS].index(one.kind), _rank(one), -attributes[one].files, one))
    short, long = [kind for kind in KINDS if kind in kinds], [attributes[one] for one in order]
    return [
        CohortTable(
            title="What the source files carry about people", columns=("Kind", "Files", "Patients", "Series", "Which"),
            rows=tuple((kind, *kinds[kind].texts, _listed(kind, order)) for kind in short),
            patients=tuple(len(kinds[kind].patients) for kind in short), note=NOTE,
        ),
        CohortTable(
            title="What the source files carry, by attribute",
            columns=("Attribute", "Kind", "Profile asks", "Files", "Patients", "Series"),
            rows=tuple((one.attribute, one.kind, one.action, *attributes[one].texts) for one in order),
            patients=tuple(len(count.patients) for count in long), note=CODES,
        ),
    ] if order else []  # fmt: skip


def nothing_carried(carried: Mapping[str, Carried], kind: str) -> str:
    """What is said where :func:`header_tables` has nothing to show: that somebody has looked, and where."""
    return (f"Nothing that identifies people was found in the {LOOKED_AT[kind]} of {len(carried):,} files and tables; "
            "this says nothing of pixels.")  # fmt: skip


def _counted(alike: Counter[Carried], keys: Callable[[Findings], Iterable[_Key]]) -> dict[_Key, _Count]:
    counts: dict[_Key, _Count] = {}
    for carried, files in alike.items():
        for key in keys(carried.findings):
            counts.setdefault(key, _Count()).add(carried, files)
    return counts


def _rank(finding: Finding) -> int:
    name = finding.attribute.partition(" (")[0].partition(":")[0]
    return FIRST.index(name) if name in FIRST else len(FIRST)


def _listed(kind: str, order: list[Finding]) -> str:
    names = [finding.attribute.partition(" (")[0] for finding in order if finding.kind == kind]
    more = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
