"""The tables of the data card: groups as rows, one table for each question."""

from collections.abc import Callable, Sequence

from synthassay.card import CardRow
from synthassay.reports.layout import Cell, Head, Row, Table
from synthassay.reports.numbers import ABSENT, count, decimals_for, interval, number
from synthassay.reports.real_data.view import IMAGES, PATIENTS, CardView, column_of, percent, value_of, valued
from synthassay.reports.words import clean

_DISTANCES = {"smd": "Standardised difference", "ks": "Kolmogorov-Smirnov", "wasserstein": "Wasserstein",
              "psi": "Stability index"}  # fmt: skip
_HOW = (
    "Share of patients with such an image (Wilson) and share of images (clustered by patient).",
    "Over patients; those of unknown age or sex are left out.",
    "Share of images of which this is not known.",
    "Means over images in hundredths of the stored range, intervals by patient. Dark and bright end: the 5th and 95th "
    "percentile of an image; sharpness: mean step between neighbouring pixels.",
    "Median over patients, with the 5th to 95th percentile.",
    "Over one value per patient. Differences and Wasserstein are in pooled standard deviations. Chance: what places "
    "that do not differ stay under in 95% of samples of this size.",
    "Ridge regression on histogram, thumbnail and spectrum of an image, cross-validated by patient. Chance: the middle "
    "95% of 200 runs on places that were shuffled between patients.",
)
Titled = tuple[Table, str]


def card_tables(view: CardView) -> list[Titled]:
    """Each with the sentence that says how to read it; empty ones are left out."""
    makers = (_classes, _people, _missing, _intensity, _spacing, _drift, _shortcut)
    made = [(make(view), how) for make, how in zip(makers, _HOW, strict=True)]
    return [(table, how) for table, how in made if table.rows]


def _per_group(view: CardView, title: str, heads: Sequence[str], cells: Callable[[str], Sequence[Cell]]) -> Table:
    """Rows: all, then the groups of each column."""
    rows = []
    for group in ("all", *(group for column in view.columns() for group in view.groups(column))):
        made = cells(group)
        if any(cell.text != ABSENT for cell in made):
            rows.append(Row([Cell("all images" if group == "all" else value_of(group), minor=column_of(group)), *made]))
    return Table([Head("Place"), *(Head(text, True) for text in heads)], rows, title)


def _cell(row: CardRow | None, shown: Callable[[CardRow], str], scale: float = 1.0) -> Cell:
    """A number with its interval below; a dash that says why there is none."""
    if row is None:
        return Cell(ABSENT, "not measured")
    if row.value is None:
        return Cell(ABSENT, clean(row.note) or row.status)
    patients = f": {count(row.n_patients)} patients" if row.n_patients else ""
    reason = f"descriptive{patients}" if row.status == "descriptive" else ""
    if row.ci_low is None or row.ci_high is None:
        return Cell(shown(row), reason)
    low, high = scale * row.ci_low, scale * row.ci_high
    return Cell(shown(row), reason, interval(low, high, decimals_for(scale * row.value, low, high)))


def _number(row: CardRow) -> str:
    return number(row.value, None if row.value is None else decimals_for(row.value, row.ci_low, row.ci_high))


def _hundredths(row: CardRow) -> str:
    low, high = (None if end is None else 100 * end for end in (row.ci_low, row.ci_high))
    return number(100 * (row.value or 0.0), decimals_for(100 * (row.value or 0.0), low, high))


def _classes(view: CardView) -> Table:
    names = view.quantities("prevalence")
    shown = [view.positive] if len(names) == 2 else names

    def cells(group: str) -> list[Cell]:
        made = []
        for name in shown:
            for statistic in (PATIENTS, IMAGES):
                row = view.one(topic="prevalence", quantity=name, statistic=statistic, group=group)
                made.append(_cell(row, percent, 100))
        return [*_counts(view, "prevalence", group), *made]

    heads = [f"{clean(name)}, {what}" for name in shown for what in ("of patients", "of images")]
    return _per_group(view, "Classes by site and device", ["Patients", "Images", *heads], cells)


def _counts(view: CardView, topic: str, group: str) -> list[Cell]:
    row = view.one(topic=topic, group=group)
    if row is None or not row.n_patients:
        return [Cell(ABSENT, "" if row is None else clean(row.note))] * 2
    return [Cell(count(row.n_patients)), Cell(count(row.n_images))]


def _people(view: CardView) -> Table:
    sexes = [name for name in view.quantities("people") if name.startswith("sex ")]

    def cells(group: str) -> list[Cell]:
        ages = {row.statistic: row for row in view.where(topic="people", quantity="age", group=group)}
        made = [_cell(ages.get("mean"), _number), _cell(ages.get("standard deviation"), lambda r: number(r.value, 1))]
        made.append(_range(ages, "lower quartile", "upper quartile", 0))
        return made + [_cell(view.one(topic="people", quantity=sex, group=group), percent, 100) for sex in sexes]

    heads = [
        "Mean age",
        "Standard deviation",
        "Median (quartiles)",
        *(clean(sex.removeprefix("sex ")) for sex in sexes),
    ]
    return _per_group(view, "Age and sex by site and device", heads, cells)


def _range(rows: dict[str, CardRow], low: str, high: str, decimals: int | None) -> Cell:
    """The median, and below it two quantiles."""
    bottom, top = (rows[name].value if name in rows else None for name in (low, high))
    middle = rows.get("median")
    if middle is None or middle.value is None:
        return _cell(middle or rows.get("mean"), lambda _: ABSENT)
    if bottom is None or top is None:
        return Cell(number(middle.value, decimals))
    return Cell(number(middle.value, decimals), minor=interval(bottom, top, decimals) if bottom < top else "all alike")


def _missing(view: CardView) -> Table:
    fields = view.quantities("missing")

    def cells(group: str) -> list[Cell]:
        return [_cell(view.one(topic="missing", quantity=name, group=group), percent) for name in fields]

    return _per_group(view, "What is missing", [clean(name).capitalize() for name in fields], cells)


def _intensity(view: CardView) -> Table:
    names = view.quantities("intensity")

    def cells(group: str) -> list[Cell]:
        return [_cell(view.one(topic="intensity", quantity=name, group=group), _hundredths, 100) for name in names]

    return _per_group(view, "Intensity by site and device", [clean(name).capitalize() for name in names], cells)


def _spacing(view: CardView) -> Table:
    names = view.quantities("spacing")

    def cells(group: str) -> list[Cell]:
        found = [
            {row.statistic: row for row in view.where(topic="spacing", quantity=name, group=group)} for name in names
        ]
        return [_range(rows, "5th percentile", "95th percentile", None) for rows in found]

    units = {name: next(row.unit for row in view.where(topic="spacing", quantity=name)) for name in names}
    heads = [f"{clean(name).capitalize()}, {unit}" for name, unit in units.items()]
    return _per_group(view, "Spacing and size of the source", heads, cells)


def _drift(view: CardView) -> Table:
    """Places of too few patients are left out: the other tables name them, and here they would have a row a measure."""
    firsts = valued(view.where(topic="drift", statistic="smd"))
    rows = []
    for first in firsts:
        mine = {row.statistic: row for row in view.where(topic="drift", quantity=first.quantity, group=first.group)}
        against = "the others" if first.against == "others" else value_of(first.against)
        cells = [_cell(mine["smd"], _number)]
        for name in list(_DISTANCES)[1:]:
            row = mine.get(name)
            limit = f"chance {number(row.floor, 2)}" if row is not None and row.floor is not None else ""
            cells.append(Cell(ABSENT, clean(first.note)) if row is None or row.value is None else
                         Cell(number(row.value, 2), minor=limit))  # fmt: skip
        names = [Cell(value_of(first.group), minor=column_of(first.group)), Cell(against), Cell(clean(first.quantity))]
        rows.append(Row([*names, *cells, Cell(count(first.n_patients) if first.n_patients else ABSENT)],
                        soft=first.status != "ok"))  # fmt: skip
    heads = [Head("Place"), Head("Against"), Head("Measure"), *(Head(text, True) for text in _DISTANCES.values()),
             Head("Patients", True)]  # fmt: skip
    return Table(heads, rows, "Drift between sites and devices")


def _shortcut(view: CardView) -> Table:
    rows = []
    for row in view.where(topic="shortcut"):
        name = f"any {row.quantity}" if row.group == "all" else value_of(row.group)
        against = {"": "", "others": "the others"}.get(row.against, value_of(row.against))
        chance = interval(row.floor_ci_low, row.floor_ci_high, 2)
        patients = Cell(count(row.n_patients) if row.n_patients else ABSENT)
        cells = [Cell(name, minor=clean(row.quantity)), Cell(against), _cell(row, _number), Cell(chance), patients]
        rows.append(Row(cells, soft=row.status != "ok"))
    heads = [Head("Place"), Head("Against"), Head("AUROC", True), Head("Chance", True), Head("Patients", True)]
    return Table(heads, rows, "How well pixels tell the place")
