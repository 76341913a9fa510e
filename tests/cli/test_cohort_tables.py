from types import SimpleNamespace

from synthassay.cli.cohort_tables import MOST_ROWS, cohort_tables
from synthassay.records import CohortTable, Quarantined


def test_long_tables_are_cut_and_say_so():
    rows = tuple((f"name {number}", f"{number:,}") for number in range(MOST_ROWS + 3))
    table = CohortTable(title="Names", columns=("Name", "Files"), rows=rows, note="A sentence.")
    text = cohort_tables(
        SimpleNamespace(tables=[table, CohortTable(title="Empty", columns=("A",), rows=())], quarantined=[])
    )
    assert text.startswith("Names\nA sentence.\n")
    assert "name 11" in text
    assert "name 12" not in text
    assert text.endswith("and 3 more in the report")
    assert "Empty" not in text


def test_what_moves_the_cursor_is_not_printed():
    table = CohortTable(title="T", columns=("A",), rows=(("x\x1b[2J",),))
    assert "\x1b" not in cohort_tables(SimpleNamespace(tables=[table], quarantined=[]))


def test_files_that_are_not_used_are_counted_by_reason_and_not_named():
    rows = [Quarantined(path=f"f-{i}", field="file", found="x", reason="damaged" if i else "empty") for i in range(3)]
    text = cohort_tables(SimpleNamespace(tables=[], quarantined=rows))
    assert text.splitlines()[3:] == ["damaged      2", "empty        1"]
    assert "f-1" not in text
