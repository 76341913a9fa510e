from types import SimpleNamespace

from synthassay.cli.cohort_tables import MOST_ROWS, cohort_tables
from synthassay.records import CohortTable


def test_long_tables_are_cut_and_say_so():
    rows = tuple((f"name {number}", f"{number:,}") for number in range(MOST_ROWS + 3))
    table = CohortTable(title="Names", columns=("Name", "Files"), rows=rows, note="A sentence.")
    text = cohort_tables(SimpleNamespace(tables=[table, CohortTable(title="Empty", columns=("A",), rows=())]))
    assert text.startswith("Names\nA sentence.\n")
    assert "name 11" in text
    assert "name 12" not in text
    assert text.endswith("and 3 more rows, which the report shows")
    assert "Empty" not in text


def test_what_moves_the_cursor_is_not_printed():
    table = CohortTable(title="T", columns=("A",), rows=(("x\x1b[2J",),))
    assert "\x1b" not in cohort_tables(SimpleNamespace(tables=[table]))
