"""The section: sentences, one block of figures for each way of dividing the scans, and the tables behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthassay.card import QUANTILES
from synthassay.reports.data import ReportData
from synthassay.reports.figures.places import Ages, PlaceLine, age_ranges, intensity_lines, place_dots
from synthassay.reports.figures.style import MUTED, SERIES, Mark
from synthassay.reports.layout import Panel
from synthassay.reports.panels import LegendItem, legend_item
from synthassay.reports.real_data.tables import Titled, card_tables
from synthassay.reports.real_data.view import CardView, value_of
from synthassay.reports.sentences.grammar import Finding
from synthassay.reports.sentences.real_data import real_data_findings
from synthassay.reports.words import clean, short

_MOST_PLACES = len(SERIES)  # in a figure: those with the most patients
Marks = Mapping[str, Mark]


@dataclass(frozen=True, slots=True)
class PlaceBlock:
    """Figures by site, or by device."""

    title: str
    panels: Sequence[Panel]
    legend: Sequence[LegendItem]


@dataclass(frozen=True, slots=True)
class RealData:
    """What the data card adds to the section about the real data."""

    findings: Sequence[Finding]
    blocks: Sequence[PlaceBlock]
    tables: Sequence[Titled]
    notes: Sequence[str]


def real_data_section(data: ReportData) -> RealData:
    """The section of ``data``; all parts are empty for a run without a card."""
    view = CardView(data.card, data.cohort.positive)
    blocks = [block for i, column in enumerate(view.columns()) if (block := _block(view, column, i)) is not None]
    return RealData(real_data_findings(view), blocks, card_tables(view), [clean(note) for note in data.card.notes])


def _block(view: CardView, column: str, i: int) -> PlaceBlock | None:
    """None for a column that divides the images as an earlier one does, or of whose places no figure can be drawn."""
    if not view.where(topic="shortcut", quantity=column):
        return None
    groups = view.groups(column)[:_MOST_PLACES]
    marks = {group: Mark(SERIES[k], "o") for k, group in enumerate(groups)}
    drawn = [_prevalence(view, column, marks, i), _shortcut(view, column, marks, i), _ages(view, column, marks, i),
             _intensity(view, column, marks, i), _drift(view, column, marks, i)]  # fmt: skip
    panels = [panel for panel in drawn if panel is not None]
    legend = [legend_item(mark, short(value_of(group))) for group, mark in marks.items()]
    return PlaceBlock(f"By {column}", panels, legend) if panels else None


def _prevalence(view: CardView, column: str, marks: Marks, i: int) -> Panel | None:
    statistic = view.prevalence_statistic()
    wanted = {"topic": "prevalence", "quantity": view.positive, "statistic": statistic}
    lines = [PlaceLine(value_of(group), [(row, mark)]) for group, mark in marks.items()
             if (row := view.one(group=group, **wanted)) is not None]  # fmt: skip
    highest = max((row.ci_high or 0.0 for line in lines for row, _ in line.rows), default=0.0)
    svg = (
        place_dots(lines, f"card-{i}-prevalence", statistic, (0.0, min(1.02, 1.1 * highest + 0.01))) if lines else None
    )
    return Panel(f"{short(view.positive)} by {column}", svg, f"{statistic}, with 95% interval") if svg else None


def _shortcut(view: CardView, column: str, marks: Marks, i: int) -> Panel | None:
    rows = view.where(topic="shortcut", quantity=column)
    lines = [PlaceLine(f"any {column}" if row.group == "all" else value_of(row.group),
                       [(row, marks.get(row.group, Mark(MUTED, "D")))]) for row in rows]  # fmt: skip
    lows = [end for row in rows for end in (row.floor_ci_low, row.ci_low) if end is not None]
    svg = place_dots(lines, f"card-{i}-shortcut", "AUROC, new patients", (min([0.38, *lows]) - 0.02, 1.02), rule=0.5)
    return Panel(f"Pixels tell the {column}", svg, "the band is chance: places shuffled") if svg else None


def _ages(view: CardView, column: str, marks: Marks, i: int) -> Panel | None:
    places = []
    for group, mark in marks.items():
        rows = {row.statistic: row for row in view.where(topic="people", quantity="age", group=group)}
        if rows:
            found = tuple(rows[name].value if name in rows else None for name in QUANTILES)
            places.append(Ages(value_of(group), found, mark))
    svg = age_ranges(places, f"card-{i}-age")
    return Panel(f"Age by {column}", svg, "median, middle half and middle 90% of patients") if svg else None


def _intensity(view: CardView, column: str, marks: Marks, i: int) -> Panel | None:
    held = {histogram.group: histogram for histogram in view.card.histograms}
    svg = intensity_lines([(held[g], mark) for g, mark in marks.items() if g in held], f"card-{i}-intensity")
    return Panel(f"Intensity by {column}", svg, "share of pixels; each image counts the same") if svg else None


def _drift(view: CardView, column: str, marks: Marks, i: int) -> Panel | None:
    rows = [row for row in view.where(topic="drift", statistic="smd") if row.group in marks]
    lines = [PlaceLine(clean(name), [(row, marks[row.group]) for row in rows if row.quantity == name])
             for name in dict.fromkeys(row.quantity for row in rows)]  # fmt: skip
    svg = place_dots(lines, f"card-{i}-drift", "difference in standard deviations", rule=0.0) if lines else None
    against = value_of(rows[0].against) if rows and rows[0].against != "others" else "the others"
    return Panel(f"Drift between {column}s", svg, f"against {short(against, 24)}, over patients") if svg else None
