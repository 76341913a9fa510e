"""What all findings share: their level, and how the numbers behind a sentence are quoted."""

from dataclasses import dataclass
from typing import Literal

from synthassay.records import MIN_PATIENTS_FOR_INFERENCE, MetricResult
from synthassay.reports.layout import floor_text, row_decimals
from synthassay.reports.numbers import interval, number, plural
from synthassay.reports.words import clean, metric_name, why

Level = Literal["alarm", "fine", "unclear", "plain"]
TAGS: dict[Level, str] = {"alarm": "Flag", "fine": "Holds", "unclear": "Not settled", "plain": "Measured"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence of the page's opening and how it is to be taken."""

    text: str
    level: Level
    tag: str


def finding(text: str, level: Level, tag: str = "") -> Finding:
    """A finding; its tag follows from its level unless given."""
    return Finding(sentence(text), level, tag or TAGS[level])


def insufficient(text: str) -> Finding:
    """A finding that says that the data cannot answer."""
    return finding(text, "unclear", "Insufficient evidence")


def sentence(text: str) -> str:
    """``text`` with one full stop at its end; a set's name at its beginning keeps its case."""
    return text.rstrip(". ") + "."


def quote(row: MetricResult, name: str = "") -> str:
    """``"KID 0.0123, 95% interval 0.0110 to 0.0136, floor 0.0039"``: one precision throughout."""
    decimals = row_decimals(row)
    parts = [f"{name or metric_name(row.metric)} {number(row.value, decimals)}"]
    if row.ci_low is not None:
        parts.append(f"95% interval {interval(row.ci_low, row.ci_high, decimals)}")
    if row.floor is not None:
        parts.append(f"floor {floor_text(row)}")
    return ", ".join(parts)


def caveat(row: MetricResult) -> str:
    """What to add to a sentence whose result is not fully inferential; empty when it is."""
    if row.status == "descriptive":
        few = row.n_patients < MIN_PATIENTS_FOR_INFERENCE
        return f"; {plural(row.n_patients, 'patient')} only: descriptive" if few else f"; descriptive: {why(row)}"
    if row.status == "insufficient evidence":
        return f"; insufficient evidence: {why(row)}" if row.note else "; insufficient evidence"
    return ""


def name_of(row: MetricResult) -> str:
    """The set's name for a sentence."""
    return clean(row.generator) or "the set"
