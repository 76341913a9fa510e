"""Where the numbers come from: cohort, files not used, stages, provenance, settings, and the full tables."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from synthassay.records import CohortTable, Identity, MetricResult
from synthassay.reports.data import CohortCount, CohortSummary, ReportData
from synthassay.reports.layout import Cell, Head, Row, Table, floor_text, row_decimals, text_table
from synthassay.reports.numbers import ABSENT, count, duration, interval, listing, megabytes, number, plural
from synthassay.reports.suppression import WITHHELD
from synthassay.reports.tables import FAMILIES
from synthassay.reports.words import FAMILY_NAMES, clean, group_name, metric_name, why

Facts = list[tuple[str, str]]
_COLUMN_TITLES = {"age_band": "Age", "split": "Split", "sex": "Sex"}
# The settings of the intensity policy in the order in which they are told.
_POLICY = {
    "mode": "Window", "window": "Name of the window", "low": "Black at", "high": "White at",
    "percentiles": "Percentiles", "taken_from": "Taken from", "pixels_used": "Pixels looked at",
    "outside_window": "Beyond the window", "units": "Values", "source_units": "Units asked for",
    "not_a_number": "Voxels that are no number", "bits": "Bits", "channels": "Channels", "dimensions": "Dimensions",
    "size": "Rows and columns", "shape": "Shape", "fit": "Fit to it", "centre": "Cut around", "resize": "Resizing",
    "axis": "Slices of volumes", "spacing_mm": "Spacing in mm", "oblique": "Oblique volumes",
}  # fmt: skip
_HEADS = (Head("Metric"), Head("Set"), Head("Variant"), Head("Against"), Head("Group"), Head("Value", True),
          Head("95% interval", True), Head("Floor", True), Head("Status"), Head("Code"), Head("Real", True),
          Head("Generated", True), Head("Patients", True), Head("Unit"), Head("Encoder"))  # fmt: skip


def flat_facts(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as (dotted name, text) pairs, in the order given."""
    for name, value in values.items():
        key = f"{prefix}{clean(name)}"
        if isinstance(value, Mapping):
            yield from flat_facts(value, f"{key}.")
        elif isinstance(value, (list, tuple)):
            yield key, clean(", ".join(str(item) for item in value)) or ABSENT
        else:
            yield key, ABSENT if value is None else clean(value)


def policy_facts(policy: Mapping[str, Any]) -> Facts:
    """The written intensity policy in words and six digits, without what does not apply."""
    names = [*_POLICY, *(name for name in policy if name not in _POLICY)]
    values = ((name, policy.get(name)) for name in names)
    told = {_POLICY.get(name, name): f"{value:.6g}" if isinstance(value, float) else value
            for name, value in values if value is not None and (name, value) != ("pixels_used", 0)}  # fmt: skip
    return list(flat_facts(told))


def provenance_facts(data: ReportData) -> Facts:
    """The seed, versions, hardware and digests."""
    return list(flat_facts({"seed": data.seed} | dict(data.provenance)))


def labelled_by(cohort: CohortSummary) -> str:
    """``"labelled by tumour"`` or ``"without labels"``."""
    return f"labelled by {clean(cohort.label)}" if cohort.label else "without labels"


def images_of(cohort: CohortSummary, adjective: str = "") -> str:
    """``"2,608 real images of 76 patients"``, or of what the ids stand for in their stead."""
    images = plural(cohort.images, f"{adjective}image")
    whose = f" of {plural(cohort.patients, cohort.unit)}"
    if cohort.unit == "image":
        whose = "" if cohort.patients == cohort.images else f" in {plural(cohort.patients, 'group')} of equal ones"
    return f"{images}{whose}" if cohort.unit == "patient" else f"{images}{whose}, each counted as a patient"


def cohort_facts(data: ReportData) -> Facts:
    """The cohort in a few lines."""
    cohort = data.cohort
    channels, *sides = cohort.shape
    what = "Volumes" if len(sides) == 3 else "Images"
    patients = count(cohort.patients)
    patients += "" if cohort.unit == "patient" else f": each {cohort.unit} counts as one"
    facts = [("Cohort", clean(cohort.name)), ("Patients", patients), (what, count(cohort.images))]
    size = " × ".join(map(str, sides))
    facts.append(("Size", f"{size}, {channels} channel{'s' if channels > 1 else ''}, {cohort.bits} bits"))
    said = f"{clean(cohort.label)}; downstream predicts “{clean(cohort.positive)}”" if cohort.label else "none"
    facts.append(("Label", said))
    kept_out = listing([clean(name) for name in cohort.external])
    facts.append(("Kept out entirely", kept_out or "nothing: no external test"))
    return facts


def count_tables(counts: Sequence[CohortCount]) -> list[Table]:
    """Images and patients per split, site, device, …: one table per column."""
    tables = []
    for column in dict.fromkeys(row.column for row in counts):
        rows = [Row([Cell(clean(row.value) or "not stated"), _counted(row.patients), _counted(row.images)])
                for row in counts if row.column == column]  # fmt: skip
        title = _COLUMN_TITLES.get(column) or clean(column.replace("_", " ")).capitalize()
        tables.append(Table([Head(title), Head("Patients", True), Head("Images", True)], rows, title))
    return tables


def reading_tables(tables: Sequence[CohortTable]) -> list[tuple[Table, str]]:
    """What preparing the scans left in tables, each with its sentence; columns of whole numbers are set flush right."""
    return [(_reading_table(table), clean(table.note)) for table in tables if table.rows]


def _reading_table(table: CohortTable) -> Table:
    cells = [[clean(cell) for cell in row] for row in table.rows]
    numeric = [all(cell.replace(",", "").isdigit() for cell in column) for column in zip(*cells, strict=True)]
    heads = [Head(clean(name), number) for name, number in zip(table.columns, numeric, strict=True)]
    return Table(heads, [Row([Cell(cell) for cell in row]) for row in cells], clean(table.title))


def _counted(value: int | None) -> Cell:
    return Cell("withheld", WITHHELD) if value is None else Cell(count(value))


def quarantine_table(data: ReportData) -> Table | None:
    """Files not used, by reason, the most frequent first."""
    if not data.quarantine:
        return None
    rows = sorted(data.quarantine.items(), key=lambda item: (-item[1], item[0]))
    return text_table(["Reason", "Files"], [[clean(reason), count(n)] for reason, n in rows])


def timing_table(data: ReportData) -> Table:
    """Wall time and peak memory per stage; what an earlier run had done does not count towards the total."""
    rows = []
    for stage in data.timings:
        time = Cell(duration(stage.seconds), minor="earlier run" if stage.found_done else "")
        rows.append(Row([Cell(clean(stage.stage)), time, Cell(megabytes(stage.peak_memory_mb))], stage.found_done))
    if rows:
        total = sum(stage.seconds for stage in data.timings if not stage.found_done)
        peak = max((s.peak_memory_mb for s in data.timings if s.peak_memory_mb is not None), default=None)
        rows.append(Row([Cell("This run"), Cell(duration(total)), Cell(megabytes(peak))]))
    return Table([Head("Stage"), Head("Wall time", True), Head("Peak memory", True)], rows)


def identity_code(identity: Identity) -> str:
    """Six hex digits: equal for values that may be compared."""
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:6] if identity else ABSENT


def result_tables(rows: Sequence[MetricResult]) -> list[Table]:
    """Every result, one table per family."""
    tables = []
    for family in FAMILIES:
        mine = [_result_row(row) for row in rows if row.family == family]
        if mine:
            tables.append(Table(_HEADS, mine, FAMILY_NAMES[family], "results"))
    return tables


def _result_row(row: MetricResult) -> Row:
    decimals = row_decimals(row)
    shown = Cell(number(row.value, decimals), why(row) if row.value is None else "")
    span = Cell(interval(row.ci_low, row.ci_high, decimals), "" if row.ci_low is not None else why(row) or "none given")
    floor = Cell(floor_text(row), "" if row.floor is not None else "no floor")
    note = clean(row.note)
    counts = [Cell(count(n)) for n in (row.n_real, row.n_synthetic, row.n_patients)]
    return Row(
        [Cell(metric_name(row.metric)), Cell(clean(row.generator) or ABSENT), Cell(clean(row.variant)),
         Cell(clean(row.reference)), Cell(group_name(row.group)), shown, span, floor, Cell(row.status, note),
         Cell(identity_code(row.identity)), *counts, Cell("" if row.unit == "1" else clean(row.unit)),
         Cell(clean(row.encoder))],
        soft=row.status != "ok",
    )  # fmt: skip
