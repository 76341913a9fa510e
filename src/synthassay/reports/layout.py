"""Plain pieces of a page: tables and captioned figures, ready for the templates."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from synthassay.records import MetricResult
from synthassay.reports.numbers import ABSENT, decimals_for, interval, number
from synthassay.reports.words import why


@dataclass(frozen=True, slots=True)
class Cell:
    """``reason`` is shown on hovering; ``minor`` stands below in small print."""

    text: str
    reason: str = ""
    minor: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """A column's title; numeric columns are set flush right."""

    text: str
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """``soft`` rows are printed lighter: descriptive, insufficient or absent."""

    cells: Sequence[Cell]
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table; ``kind`` is its CSS class."""

    heads: Sequence[Head]
    rows: Sequence[Row]
    title: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure and its caption; ``beside`` is a second part of it, to its right where there is room."""

    title: str
    svg: Markup
    detail: str = ""
    beside: Markup | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel] = field(default_factory=tuple)


def text_table(heads: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", numeric: int = 1) -> Table:
    """A table of plain text whose columns from ``numeric`` on are numbers."""
    return Table([Head(text, i >= numeric) for i, text in enumerate(heads)],
                 [Row([Cell(text) for text in row]) for row in rows], title)  # fmt: skip


def row_decimals(row: MetricResult) -> int | None:
    """Decimals for a result's value, interval and floor alike; None where there is no value."""
    if row.value is None:
        return None
    if row.ci_low is None and float(row.value).is_integer():
        return 0  # a count or a verdict
    return decimals_for(row.value, row.ci_low, row.ci_high)


def floor_text(row: MetricResult) -> str:
    """The floor with as many decimals as the value has, and enough for two digits of a much smaller floor."""
    decimals = row_decimals(row)
    if row.floor is None or decimals is None:
        return number(row.floor)
    return number(row.floor, max(decimals, min(decimals_for(row.floor) - 1, decimals + 2)))


def value_cell(row: MetricResult | None, missing: str = "not measured") -> Cell:
    """A result's value with its interval below; a dash that says why when it is absent."""
    if row is None:
        return Cell(ABSENT, missing)
    if row.value is None:
        return Cell(ABSENT, why(row))
    decimals = row_decimals(row)
    below = interval(row.ci_low, row.ci_high, decimals) if row.ci_low is not None else "no interval"
    reason = "" if row.status == "ok" else f"{row.status}: {why(row)}"
    return Cell(number(row.value, decimals), reason, below)
