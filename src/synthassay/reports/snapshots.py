"""Which state of each training was sampled: a table of what was compared, one figure for each set, and the rule."""

from collections.abc import Sequence

from synthassay.reports.data import ReportData, Selection
from synthassay.reports.figures.snapshots import snapshot_plot
from synthassay.reports.layout import Cell, Head, Panel, Row, Table
from synthassay.reports.numbers import count, number, plural
from synthassay.reports.words import clean, short

RULES = {
    "kid-validation": "The snapshot with the smallest KID against validation patients was sampled; where later ones "
    "are within the standard error of the smallest, the last of them. Neither test nor control images took part.",
}
_HEADS = (Head("Set"), Head("Rule"), Head("After step", True), Head("KID", True), Head("Standard error", True),
          Head("Images a side", True), Head("Patients", True), Head("Sampled"))  # fmt: skip


def selections(data: ReportData) -> list[tuple[str, Selection]]:
    """The sets of trained generators and what was chosen of them."""
    return [(clean(item.name), item.selection) for item in data.sets if item.selection is not None]


def snapshot_table(data: ReportData) -> Table | None:
    """A row for each snapshot that was compared; one row where nothing was."""
    rows = [row for name, chosen in selections(data) for row in _rows(name, chosen)]
    return Table(_HEADS, rows, "Snapshots") if rows else None


def _rows(name: str, chosen: Selection) -> Sequence[Row]:
    head = [Cell(name), Cell(chosen.rule)]
    if not chosen.candidates:
        absent = [Cell("–", clean(chosen.reason)) for _ in range(4)]
        return [Row([*head, Cell(count(chosen.chosen)), *absent, Cell("yes")])]
    sides = [Cell(count(chosen.images)), Cell(count(chosen.patients))]
    return [
        Row([*head, Cell(count(c.step)), Cell(number(c.kid, 4)), Cell(number(c.standard_error, 4)), *sides,
             Cell("yes" if c.step == chosen.chosen else "")], soft=c.step != chosen.chosen)
        for c in chosen.candidates
    ]  # fmt: skip


def snapshot_notes(data: ReportData) -> list[str]:
    """The rules that were followed, and why some sets were sampled at their end without a comparison."""
    found = selections(data)
    notes = [RULES[rule] for rule in dict.fromkeys(chosen.rule for _, chosen in found) if rule in RULES]
    return notes + [f"{name} was sampled at the end of its training: {clean(chosen.reason)}."
                    for name, chosen in found if chosen.reason]  # fmt: skip


def snapshot_panels(data: ReportData) -> list[Panel]:
    """KID by step of each set of which snapshots were compared."""
    return [
        Panel(short(name), snapshot_plot(name, chosen, f"snapshots-{i}"), "KID against validation, ± standard error")
        for i, (name, chosen) in enumerate(selections(data)) if chosen.candidates
    ]  # fmt: skip


def snapshot_line(name: str, chosen: Selection) -> str:
    """One line for the terminal: what is sampled, and by which rule."""
    where = f"{clean(name)}: sampled as after step {count(chosen.chosen)} of {count(chosen.steps)}"
    best = next((c for c in chosen.candidates if c.step == chosen.chosen), None)
    if best is None:
        return f"{where} ({clean(chosen.reason)})"
    shown = f"KID {number(best.kid, 4)}, standard error {number(best.standard_error, 4)}"
    return f"{where}, by {chosen.rule} ({shown}, {plural(chosen.images, 'image')} of validation)"
