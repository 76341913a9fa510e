"""Fidelity results as text for a terminal."""

import textwrap
from collections.abc import Sequence

from synthassay.cli.text_table import terminal_width, text_table
from synthassay.records import MetricResult
from synthassay.reports.layout import floor_text, row_decimals
from synthassay.reports.numbers import count, interval, listing, number
from synthassay.reports.words import clean, group_name, metric_name

_TAIL = ("Value", "95% interval", "Floor", "Real", "Set", "Status")
_USUAL = "patient-aware"


def result_text(results: Sequence[MetricResult], width: int | None = None) -> str:
    """Values over all images, then by group, what has no value and why, and the notes that marks in brackets refer to.

    Groups show one variant of each metric against the first reference; the files hold every row.
    """
    columns = terminal_width() if width is None else width
    notes: dict[str, int] = {}
    parts = []
    overall = [row for row in results if row.group == "all" and row.value is not None]
    for reference in dict.fromkeys(row.reference for row in overall):
        rows = [[_metric(row), *_tail(row, notes)] for row in overall if row.reference == reference]
        table = text_table(["Metric", *_TAIL], rows, numeric=range(1, 6), width=columns)
        parts.append(f"Against {reference}, all images; {_USUAL} unless another variant is named\n{table}")
    grouped = _headline_groups(results)
    if grouped:
        rows = [[group_name(row.group), _metric(row), *_tail(row, notes)] for row in grouped]
        table = text_table(["Group", "Metric", *_TAIL], rows, numeric=range(2, 7), width=columns)
        parts.append(f"Against {grouped[0].reference}, by group\n{table}")
    missing = _missing(results)
    if missing:
        parts.append("\n".join(["Without a value", *(_wrapped("- ", line, columns) for line in missing)]))
    if notes:
        parts.append("\n".join(_wrapped(f"[{mark}] ", note, columns) for note, mark in notes.items()))
    return "\n\n".join(parts)


def _metric(row: MetricResult) -> str:
    name = metric_name(row.metric)
    return name if row.variant in (_USUAL, "") else f"{name} ({clean(row.variant)})"


def _tail(row: MetricResult, notes: dict[str, int]) -> list[str]:
    """Value to status; a new note enters ``notes`` with the next mark."""
    decimals = row_decimals(row)
    note = clean(row.note)
    mark = f" [{notes.setdefault(note, len(notes) + 1)}]" if note else ""
    return [number(row.value, decimals), interval(row.ci_low, row.ci_high, decimals), floor_text(row),
            count(row.n_real), count(row.n_synthetic), row.status + mark]  # fmt: skip


def _headline_groups(results: Sequence[MetricResult]) -> list[MetricResult]:
    """Group by group, the first variant of each metric against the first reference."""
    first: dict[tuple[str, str], MetricResult] = {}
    reference = results[0].reference if results else ""
    for row in results:
        if row.group != "all" and row.value is not None and row.reference == reference:
            first.setdefault((row.group, row.metric), row)
    return list(first.values())


def _missing(results: Sequence[MetricResult]) -> list[str]:
    """One line for each group and reason: against what, which metrics, and why."""
    found: dict[tuple[str, str, str], list[MetricResult]] = {}
    for row in results:
        if row.value is None:
            found.setdefault((row.group, row.status, clean(row.note)), []).append(row)
    lines = []
    for (group, status, note), rows in found.items():
        references = listing(list(dict.fromkeys(row.reference for row in rows if row.reference)))
        metrics = listing(list(dict.fromkeys(metric_name(row.metric) for row in rows)))
        where = "" if group == "all" else f"{group_name(group).removesuffix(' *')}, "
        lines.append(f"{where}against {references}: {status}: {note or 'no reason given'} ({metrics})")
    return lines


def _wrapped(lead: str, text: str, width: int) -> str:
    return textwrap.fill(text, max(width, 30), initial_indent=lead, subsequent_indent=" " * len(lead))
