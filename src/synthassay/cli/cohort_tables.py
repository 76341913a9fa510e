"""The tables about a cohort on the terminal, after ``synthassay prepare``."""

from synthassay.cli.text_table import text_table
from synthassay.records import Cohort, CohortTable

MOST_ROWS = 12  # of one table


def cohort_tables(cohort: Cohort) -> str:
    """Every table that travels with ``cohort``, each cut to its first rows; the report has all of them."""
    return "\n\n".join(_shown(table) for table in cohort.tables if table.rows)


def _shown(table: CohortTable) -> str:
    rows = [[_printable(cell) for cell in row] for row in table.rows[:MOST_ROWS]]
    numeric = [i for i in range(len(table.columns)) if all(row[i].replace(",", "").isdigit() for row in rows)]
    lines = [table.title, *([table.note] if table.note else []), text_table(table.columns, rows, numeric=numeric)]
    left = len(table.rows) - MOST_ROWS
    return "\n".join([*lines, *([f"and {left} more rows, which the report shows"] if left > 0 else [])])


def _printable(text: str) -> str:
    """Texts of headers and tables may hold what moves a terminal's cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
