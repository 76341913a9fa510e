"""What ``synthassay prepare`` says about a cohort on the terminal when it is done."""

from collections import Counter

import numpy as np

from synthassay.cli.text_table import text_table
from synthassay.records import SPLITS, Cohort, CohortTable

MOST_ROWS = 12  # of one table
MOST_COUNTS = 40  # splits, sites and devices


def cohort_tables(cohort: Cohort) -> str:
    """Every table that travels with ``cohort``, the counts, the files not used and the limits of what it can answer.

    Long tables are cut to their first rows; the page about the cohort has all of them.
    """
    shown = [_shown(table) for table in cohort.tables if table.rows]
    shown.append(_shown(_counts(cohort), MOST_COUNTS))
    if cohort.quarantined:
        shown.append(_shown(_not_used(cohort)))
    if cohort.notes:
        shown.append("\n".join(["What to know before using it", *(f"- {_printable(note)}" for note in cohort.notes)]))
    return "\n\n".join(shown)


def _counts(cohort: Cohort) -> CohortTable:
    images = cohort.images
    columns = {"split": cohort.splits, "site": images.groups["site"], "device": images.groups["device"]}
    rows = [("all", "", f"{len(set(images.patients.tolist())):,}", f"{len(images):,}")]
    for name, values in columns.items():
        known = [split for split in SPLITS if split in values] if name == "split" else sorted(set(values.tolist()))
        for value in known:
            here = values == value
            patients = len(np.unique(images.patients[here]))
            rows.append((name, value or "not stated", f"{patients:,}", f"{int(here.sum()):,}"))
    return CohortTable(title="What was prepared", columns=("By", "Value", "Patients", "Images"), rows=tuple(rows))


def _not_used(cohort: Cohort) -> CohortTable:
    reasons = Counter((row.field, row.reason) for row in cohort.quarantined).most_common()
    rows = tuple((reason, field, f"{files:,}") for (field, reason), files in reasons)
    return CohortTable(title="Files that are not used", columns=("Reason", "Found in", "Files"), rows=rows,
                       note="Each is in the keyring's quarantine table, with its path.")  # fmt: skip


def _shown(table: CohortTable, most: int = MOST_ROWS) -> str:
    rows = [[_printable(cell) for cell in row] for row in table.rows[:most]]
    numeric = [i for i in range(len(table.columns)) if all(row[i].replace(",", "").isdigit() for row in rows)]
    lines = [table.title, *([table.note] if table.note else []), text_table(table.columns, rows, numeric=numeric)]
    left = len(table.rows) - most
    return "\n".join([*lines, *([f"and {left} more on the page"] if left > 0 else [])])


def _printable(text: str) -> str:
    """Texts of headers and tables may hold what moves a terminal's cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
