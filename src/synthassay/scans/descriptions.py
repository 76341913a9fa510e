"""What NIfTI headers, BIDS sidecars and tables carry about people. Never a value."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from synthassay.scans.dicom.confidentiality import profile_by_keyword
from synthassay.scans.findings import DATE, NAME, Finding, Findings, Kind

# Free text of the header of NIfTI-1 and -2; intent_name is a short name of what the values mean.
TEXT_FIELDS = ("descrip", "aux_file", "db_name", "intent_name")
# Fields of Analyze 7.5 headers that are about a person or an examination.
ANALYZE_FIELDS: dict[str, tuple[Kind, str]] = {
    "patient_id": ("patient", "Z"), "scannum": ("places, devices, descriptions", "clean"),
    "exp_date": ("dates and times", "Z"), "exp_time": ("dates and times", "Z"), "generated": ("dates and times", "Z"),
}  # fmt: skip
TIME = re.compile(r"(?<![\d.])(?:[01]\d|2[0-3])[:]?[0-5]\d[:]?[0-5]\d(?:\.\d+)?(?!\d)")
DICOM_EXTENSION, COMMENT_EXTENSION = 2, 6  # ecode of header extensions
MOST_KEYS = 10_000  # of one sidecar
DATED = 0.5  # share of a column's cells that are dates, from which on it is a column of dates
# Words of which the headings of tables that identify people are made.
COLUMNS: dict[Kind, frozenset[str]] = {
    "patient": frozenset({
        "name", "firstname", "lastname", "surname", "forename", "birth", "birthdate", "birthday", "dob", "mrn", "ssn",
        "nhs", "address", "street", "phone", "telephone", "email", "zip", "zipcode", "postcode", "postal", "initials",
    }),
    "people": frozenset({"physician", "doctor", "radiologist", "operator", "technician", "referrer", "reader"}),
    "dates and times": frozenset({"date", "datetime", "timestamp"}),
    "UIDs": frozenset({"uid", "studyinstanceuid", "seriesinstanceuid", "sopinstanceuid"}),
    "places, devices, descriptions": frozenset({"accession", "serial", "comment", "comments", "notes", "report"}),
}  # fmt: skip


def nifti_findings(fields: Mapping[str, str], extensions: Iterable[int] = ()) -> Findings:
    """What the text fields of a NIfTI or Analyze header, and the codes of a NIfTI's extensions, carry.

    Programs write their own name and settings into ``descrip``; it counts where it holds a date, a time or a name.
    """
    found: set[Finding] = set()
    for field in TEXT_FIELDS:
        text = fields.get(field, "").strip("\0 ")
        found.update(_in_text(f"NIfTI {field}", text))
        if text and field == "db_name":
            found.add(Finding("places, devices, descriptions", "NIfTI db_name", "clean"))
        if field == "descrip" and re.search(r"\btime=", text, re.IGNORECASE) and TIME.search(text):
            found.add(Finding("dates and times", "NIfTI descrip: a time", "clean"))
    for field, (kind, action) in ANALYZE_FIELDS.items():
        if re.search(r"\w", fields.get(field, ""), re.ASCII):
            found.add(Finding(kind, f"Analyze {field}", action))
    for code in set(extensions):
        if code == DICOM_EXTENSION:
            found.add(Finding("patient", "NIfTI extension with a DICOM header", "X"))
        elif code == COMMENT_EXTENSION:
            found.add(Finding("places, devices, descriptions", "NIfTI extension with a comment", "clean"))
    return frozenset(found)


def sidecar_findings(facts: Mapping[str, Any]) -> Findings:
    """What a BIDS sidecar carries: its keys are DICOM's keywords, and so asked by the same profile."""
    found = set()
    known = profile_by_keyword()
    for key, value in _leaves(facts):
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        if key in known:
            found.add(known[key])
        elif isinstance(value, str) and "Version" not in key:  # those of programs are often dates
            found.update(_in_text("sidecar text", value))
    return frozenset(found)


def _leaves(facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys and plain values, nested ones too."""
    left: list[tuple[str, Any]] = list(facts.items())
    for _ in range(MOST_KEYS):
        if not left:
            return
        key, value = left.pop()
        if isinstance(value, Mapping):
            left += value.items()
        elif isinstance(value, list):
            left += [(key, part) for part in value]
        else:
            yield str(key), value


def _in_text(where: str, text: str) -> Iterator[Finding]:
    if DATE.search(text):
        yield Finding("names and dates in text", f"{where}: a date", "clean")
    if NAME.search(text):
        yield Finding("names and dates in text", f"{where}: reads like a name", "clean")


def column_findings(heading: str, cells: Sequence[object]) -> Findings:
    """What one column of a table carries, by its heading and by cells that are dates or names.

    ``heading`` appears in findings only where it is made of known words: that of a table without a header is data.
    """
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", heading).lower())
    found: set[Finding] = set()
    for kind, known in COLUMNS.items():
        hits = [word for word in (*words, "".join(words)) if word in known]
        found.update(Finding(kind, f"table column: {word}", "clean") for word in hits[:1])
    texts = [text for cell in cells if (text := str(cell).strip())]
    if texts and sum(bool(DATE.search(text)) for text in texts) >= DATED * len(texts):
        found.add(Finding("dates and times", "table column of dates", "clean"))
    if any("^" in text and NAME.search(text) for text in texts):
        found.add(Finding("people", "table column of names", "clean"))
    return frozenset(found)
