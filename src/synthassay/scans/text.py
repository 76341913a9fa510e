"""Text and numbers from headers and tables, made safe and comparable."""

import datetime
import re
import unicodedata

MAX_TEXT = 64
# Of files that a cohort may hold; any other ending can be part of a name or an id.
SUFFIXES = (".nii.gz", ".csv.gz", ".tsv.gz", ".dcm", ".dicom", ".ima", ".nii", ".json", ".png", ".jpg", ".jpeg",
            ".tif", ".tiff", ".npz", ".h5", ".hdf5", ".csv", ".tsv", ".parquet", ".xlsx", ".xls", ".cfg", ".txt",
            ".pdf")  # fmt: skip
# Ages above 89 identify people in small groups; US law (45 CFR 164.514(b)(2)(i)(C)) asks for one class of 90 and over.
OLDEST_AGE = 90.0
FINE_BELOW = 2  # years
NO_BIRTH = datetime.date(1900, 1, 1)  # what programs write over a date of birth
AGE_BANDS = ((18.0, "under 18"), (40.0, "18-39"), (60.0, "40-59"), (80.0, "60-79"), (float("inf"), "80 and over"))
MISSING_WORDS = frozenset({"", "n/a", "na", "nan", "none", "null", "unknown", "anonymous", "anonymized", "-"})


def known_suffix(path: str) -> str:
    """The ending of ``path`` in lower case if it is one of :data:`SUFFIXES`, else ``""``."""
    return next((suffix for suffix in SUFFIXES if path.lower().endswith(suffix)), "")


def clean(value: object) -> str | None:
    """``value`` as text without control characters, at most 64 characters; None where it says nothing."""
    if value is None:
        return None
    shown = str(value)[:1024]
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join(" " if unicodedata.category(c).startswith(("C", "Z")) else c for c in shown)
    text = " ".join(shown.split())[:MAX_TEXT].rstrip()
    return None if text.casefold() in MISSING_WORDS else text


def sex_of(value: object) -> str | None:
    """``F``, ``M`` or ``O`` from a header or a table; None where unknown."""
    text = (clean(value) or "").casefold()
    names = {"f": "F", "female": "F", "m": "M", "male": "M", "o": "O", "other": "O"}
    return names.get(text)


def date_of(value: object) -> datetime.date | None:
    """A DICOM date (``YYYYMMDD``), or None."""
    digits = re.match(r"\s*(\d{4})[.-]?(\d{2})[.-]?(\d{2})", str(value or ""))
    try:
        return datetime.date(*(int(part) for part in digits.groups())) if digits else None
    except ValueError:
        return None


def age_of(value: object, birth: object = None, study: object = None) -> float | None:
    """Age from a DICOM age string or a plain number, else from two dates; None outside 0 to 130.

    In completed years, below two years in tenths: a finer age is close to a date of birth. ``90+`` and ``>89``, as
    tables write the class of the oldest, are 90.
    """
    text = str(value if value is not None else "").strip()
    if re.fullmatch(r"(?:89|90)\s*\+|>\s*89|>=\s*90", text):
        return OLDEST_AGE
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([DWMYdwmy]?)", text.replace(",", "."))
    unknown = match is not None and match[1] == "000" and match[2] in "Yy"  # what some scanners write for no age
    if match and not unknown:
        days = {"d": 365.25, "w": 365.25 / 7, "m": 12.0}
        return _plausible(float(match[1]) / days.get(match[2].lower(), 1.0))
    born, scanned = date_of(birth), date_of(study)
    if born is None or scanned is None or born == NO_BIRTH:
        return None
    years = scanned.year - born.year - ((scanned.month, scanned.day) < (born.month, born.day))
    return _plausible(years if years >= FINE_BELOW else (scanned - born).days / 365.25)


def _plausible(age: float) -> float | None:
    if not 0 <= age <= 130:
        return None
    return round(age, 1) if age < FINE_BELOW else min(float(int(age)), OLDEST_AGE)


def age_band(age: float | None) -> str:
    """The band of an age in years, ``""`` where unknown."""
    return "" if age is None else next(name for below, name in AGE_BANDS if age < below)


def table_value(value: object) -> str:
    """A table cell as text: stripped, and whole numbers without a decimal point, so that ``1.0`` equals ``1``."""
    text = " ".join(str(value).split())
    if text.casefold() in {"", "n/a", "na", "nan", "none", "null", "<na>", "nat"}:
        return ""
    return text[:-2] if re.fullmatch(r"-?\d+\.0", text) else text
