"""What the header of one DICOM file carries about people, held against PS3.15's basic profile. Never a value.

Values are looked at as the bytes that they were read as, and only sequences are converted, so that a header of some
hundred elements costs less than reading it did.
"""

from collections.abc import Iterator
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset

from synthassay.scans.dicom.confidentiality import PRIVATE, profile
from synthassay.scans.findings import DATE, NAME, Finding, Findings, OwnWords, in_path, own_words
from synthassay.scans.text import MISSING_WORDS

MOST_ELEMENTS = 50_000  # of one file, nested ones too
DEEPEST = 16
LONGEST = 1 << 14  # bytes of one value that are searched for names
UNKNOWN = "UN"  # value representation
TEXTS = frozenset({"LO", "SH", "LT", "ST", "UT", "UC"})
SAYS_NOTHING = frozenset(word.encode() for word in MISSING_WORDS)
# Siemens writes Region^Exam in these, which reads like Family^Given.
CARETS = frozenset({"StudyDescription", "RequestedProcedureDescription", "PerformedProcedureStepDescription"})
STATEMENTS = {
    "PatientIdentityRemoved": ("YES", "NO"), "BurnedInAnnotation": ("YES", "NO"),
    "LongitudinalTemporalInformationModified": ("UNMODIFIED", "MODIFIED", "REMOVED"),
    "RecognizableVisualFeatures": ("YES", "NO"), "SyntheticData": ("YES", "NO"),
}  # fmt: skip
METHODS = {
    "113100": "basic profile", "113101": "clean pixel data", "113102": "clean recognizable visual features",
    "113103": "clean graphics", "113104": "clean structured content", "113105": "clean descriptors",
    "113106": "retain full dates", "113107": "retain modified dates", "113108": "retain patient characteristics",
    "113109": "retain device identity", "113110": "retain UIDs", "113111": "retain safe private",
    "113112": "retain institution identity",
}  # fmt: skip
REMOVED = Finding("said of itself", "PatientIdentityRemoved: YES")
BIRTH_DATE = Finding("patient", "PatientBirthDate (0010,0030)", "Z")
CONTRADICTED = Finding("said of itself", "PatientIdentityRemoved: YES, beside a birth date")
UNFINISHED = Finding("said of itself", f"the check ended after {MOST_ELEMENTS:,} elements, {DEEPEST} levels or damage")


def check_header(dataset: Dataset, path: str = "") -> Findings:
    """What ``dataset``, read whole but for its pixels, and its ``path`` carry about people."""
    own = _own(dataset)
    check = _Check(own)
    check.look_into(getattr(dataset, "file_meta", None) or Dataset())
    check.look_into(dataset)
    found = check.found | in_path(path, own) | set(_statements(dataset))
    if REMOVED in found and BIRTH_DATE in found:
        found.add(CONTRADICTED)
    return frozenset(found)


class _Check:
    """The elements of one file, nested ones too. ``own`` is what to search for in texts."""

    def __init__(self, own: OwnWords | None) -> None:
        self.found: set[Finding] = set()
        self._own, self._left = own, MOST_ELEMENTS

    def look_into(self, dataset: Dataset, depth: int = 0) -> None:
        """Adds what the elements of ``dataset`` carry to ``found``."""
        asks = profile().asks
        for item in list(dataset.values()):  # raw where it was not asked for yet
            self._left -= 1
            if self._left < 0:
                self.found.add(UNFINISHED)
                return
            tag = int(item.tag)
            asked = asks(tag)
            representation = item.VR or UNKNOWN
            if representation == UNKNOWN and dictionary_has_tag(tag):  # archives write so what they do not know
                representation = dictionary_VR(tag)
            if representation == "SQ":
                self._sequence(dataset, tag, asked, depth)
            elif (asked is not None or representation in TEXTS) and not _says_nothing(item.value):
                self._value(tag, item.value, asked, representation)

    def _sequence(self, dataset: Dataset, tag: int, asked: Finding | None, depth: int) -> None:
        try:
            parts = dataset[tag].value or ()
        except Exception:  # its bytes are damaged
            self.found.add(UNFINISHED)
            return
        if parts and asked is not None:
            self.found.add(asked)
        # pydicom leaves a long one whose representation is unknown as bytes.
        if isinstance(parts, bytes) or (parts and depth >= DEEPEST):
            self.found.add(UNFINISHED)
            return
        for part in parts:
            self.look_into(part, depth + 1)

    def _value(self, tag: int, value: Any, asked: Finding | None, representation: str) -> None:
        if asked is not None:
            self.found.add(asked)
        private = asked is PRIVATE
        if not (private or representation in TEXTS) or (asked is not None and asked.kind == "patient"):
            return
        text = _text(value)
        if self._own is not None and self._own.are_in(text):
            self._in_text(tag, "the patient's own name, id or birth date")
        if private:
            return
        if "^" in text and NAME.search(text) and keyword_for_tag(tag) not in CARETS:
            self._in_text(tag, "reads like a name")
        if DATE.search(text):
            self._in_text(tag, "a date")

    def _in_text(self, tag: int, what: str) -> None:
        known = keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        where = PRIVATE.attribute if tag >> 16 & 1 else known
        self.found.add(Finding("names and dates in text", f"{where}: {what}", "clean"))


def _says_nothing(value: Any) -> bool:
    if isinstance(value, bytes):
        return value[:32].strip(b" \0").lower() in SAYS_NOTHING
    return value is None or str(value)[:32].strip().casefold() in MISSING_WORDS


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)[:LONGEST]
    try:
        return value[:LONGEST].decode()
    except UnicodeDecodeError:  # the own name is read the same way, so that it is found in any character set
        return value[:LONGEST].decode("latin-1")


def _own(dataset: Dataset) -> OwnWords | None:
    """What to search for in texts: parts of the names, whole ids, and the birth date of the file's own patient."""
    texts = {}
    for tag in (0x00100010, 0x00101001, 0x00101005, 0x00100020, 0x00101000, 0x00100030):
        item = dataset.get_item(tag) if tag in dataset else None
        texts[tag] = "" if item is None or item.value is None else _text(item.value)
    names = [texts.pop(tag) for tag in (0x00100010, 0x00101001, 0x00101005)]
    return own_words(" ".join(names), *(part for text in texts.values() for part in text.split("\\")))


def _statements(dataset: Dataset) -> Iterator[Finding]:
    """What the file says of its own de-identification, in the standard's words only."""
    for keyword, words in STATEMENTS.items():
        said = _word(dataset, keyword)
        if said or keyword in ("PatientIdentityRemoved", "BurnedInAnnotation"):
            shown = said if said in words else "not stated" if not said else "another value"
            yield Finding("said of itself", f"{keyword}: {shown}")
    try:
        codes = [str(item.get("CodeValue", "")) for item in dataset.get("DeidentificationMethodCodeSequence") or ()]
    except Exception:  # damaged
        codes = []
    for code in codes:
        if code in METHODS:
            yield Finding("said of itself", f"DeidentificationMethodCodeSequence: {code} {METHODS[code]}")


def _word(dataset: Dataset, keyword: str) -> str:
    try:
        return str(dataset.get(keyword) or "").strip()
    except Exception:  # damaged
        return ""
