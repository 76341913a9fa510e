"""The attributes that DICOM's Basic Application Level Confidentiality Profile protects (PS3.15, Table E.1-1)."""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from synthassay.scans.findings import Finding, Kind

EDITION = "2026c"
PRIVATE = Finding("private attributes", "private attributes", "X")


class Profile(NamedTuple):
    """What the profile protects: by tag, and (overlays and curves) by a pair of group's first byte and element."""

    by_tag: dict[int, Finding]
    by_mask: dict[tuple[int, int | None], Finding]

    def asks(self, tag: int) -> Finding | None:
        """The finding that the presence of ``tag`` is, or None where the profile does not name it."""
        if tag >> 16 & 1:
            return PRIVATE
        family = tag >> 24
        if family in (0x50, 0x60):
            return self.by_mask.get((family, tag & 0xFFFF)) or self.by_mask.get((family, None))
        return self.by_tag.get(tag)


@cache
def profile() -> Profile:
    """The table of :data:`EDITION`, read once."""
    by_tag: dict[int, Finding] = {}
    by_mask: dict[tuple[int, int | None], Finding] = {}
    lines = (files("synthassay.scans.dicom") / "confidentiality.tsv").read_text(encoding="ascii").splitlines()
    for line in lines[lines.index("tag\taction\tkeyword") + 1 :]:
        tag, action, keyword = line.split("\t")
        if "x" in tag:
            element = None if tag.endswith("xxxx") else int(tag[4:], 16)
            finding = Finding("places, devices, descriptions", f"{keyword} ({tag[:4]},{tag[4:]})", action)
            by_mask[int(tag[:2], 16), element] = finding
        else:
            number = int(tag, 16)
            by_tag[number] = Finding(_kind(number), f"{keyword} ({tag[:4]},{tag[4:]})", action)
    return Profile(by_tag, by_mask)


def _kind(tag: int) -> Kind:
    if tag >> 16 == 0x0010:
        return "patient"
    representation = dictionary_VR(tag) if dictionary_has_tag(tag) else ""
    kinds: dict[str, Kind] = {"PN": "people", "DA": "dates and times", "TM": "dates and times",
                              "DT": "dates and times", "UI": "UIDs"}  # fmt: skip
    return kinds.get(representation, "places, devices, descriptions")


@cache
def profile_by_keyword() -> dict[str, Finding]:
    """The same by keyword, for what names DICOM attributes without their tags."""
    return {finding.attribute.partition(" (")[0]: finding for finding in profile().by_tag.values()}
