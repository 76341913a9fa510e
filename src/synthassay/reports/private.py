"""The section on private training: what was promised, and what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from synthassay.reports.figures.privacy import Point, privacy_curve
from synthassay.reports.layout import Cell, Head, Panel, Row, Table, value_cell
from synthassay.reports.numbers import number
from synthassay.reports.panels import marks_of
from synthassay.reports.select import Results
from synthassay.reports.sentences.grammar import Finding, finding
from synthassay.reports.words import clean, metric_name

_CURVES = ("frechet_distance", "fid", "kid")


@dataclass(frozen=True, slots=True)
class PrivateSection:
    """ε and δ of each set, and utility against ε."""

    promises: Table
    panels: Sequence[Panel]


def private_section(results: Results) -> PrivateSection | None:
    """None where no generator was trained privately."""
    promised = results.where(family="privacy", metric="dp_epsilon")
    if not promised:
        return None
    rows = []
    for row in promised:
        delta = results.one(family="privacy", metric="dp_delta", generator=row.generator)
        rows.append(Row([Cell(clean(row.generator)), value_cell(row), value_cell(delta), Cell(clean(row.note))]))
    heads = [Head("Set"), Head("ε", True), Head("δ", True), Head("How, and what it does not cover")]
    return PrivateSection(Table(heads, rows), _panels(results))


def _panels(results: Results) -> list[Panel]:
    """One curve a metric, by the first encoder; a single set makes none."""
    budgets = {row.generator: row.value for row in results.where(family="privacy", metric="dp_epsilon")}
    panels = []
    for metric in _CURVES:
        encoder = next((row.encoder for row in results.headline(metric=metric)), "")
        rows = [row for row in results.headline(metric=metric, encoder=encoder) if row.value is not None]
        points = [Point(budgets.get(row.generator), row) for row in rows if row.generator in results.tested]
        if len(points) > 1:
            svg = privacy_curve(points, marks_of(results), f"privacy-{metric}")
            panels.append(Panel(f"{metric_name(metric)} against ε", svg, "lower is better; ∞: no guarantee"))
    return panels


def private_findings(results: Results) -> list[Finding]:
    """One sentence for each private training."""
    found = []
    for row in results.where(family="privacy", metric="dp_epsilon"):
        delta = results.one(family="privacy", metric="dp_delta", generator=row.generator)
        at = f" at δ = {number(delta.value)}" if delta is not None and delta.value is not None else ""
        seeded = "" if row.status == "ok" else "; whoever knows the run's seed can take the noise off again"
        found.append(finding(f"{clean(row.generator)} was trained with differential privacy for each patient: "
                             f"ε = {number(row.value)}{at}{seeded}", "plain", "Promised"))  # fmt: skip
    return found
