import pytest

from synthassay.cohorts.joins import join, joins_table
from synthassay.cohorts.sources import Source
from synthassay.cohorts.specs import TableSpec
from synthassay.errors import UserError


def source(path: str, **changes) -> Source:
    return Source(**{"path": path, "patient": "P1", "study": "1.2", "series": "1.2.3", **changes})


@pytest.mark.parametrize(
    ("join_on", "key"),
    [("file", "a/b.dcm"), ("series", "1.2.3"), ("study", "1.2"), ("patient", "P1"), ("patient", "sub-P1")],
)
def test_a_scan_is_found_by_each_of_its_identifiers(join_on, key):
    spec = TableSpec(path="t.csv", label="label", **{join_on: "key"}, join_on=join_on)
    joined = join([source("a/b.dcm")], [{join_on: key, "label": "yes"}], spec, row_needed=True)
    assert [scan.label for scan in joined.sources] == ["yes"]


@pytest.mark.parametrize(
    ("how", "key", "path"),
    [("name", "b.png", "a/b.png"), ("stem", "b", "a/b.png"), ("stem", "scan_1", "x/scan_1.nii.gz"),
     ("stem", "1.2.34", "1.2.34"), ("last 2", "Data-v1/a/b.png", "x/a/b.png"),
     ("path", "a\\b.png", "a/b.png"), ("path", "./a/b.png", "a/b.png"), ("path", "M\u00fc.png", "Mu\u0308.png")],
)  # fmt: skip
def test_files_match_by_path_name_or_stem(how, key, path):
    spec = TableSpec(path="t.csv", file="f", match_file=how, label="label")
    assert join([source(path)], [{"file": key, "label": "1"}], spec, row_needed=True).sources[0].label == "1"


def test_the_table_goes_before_the_header_and_blanks_do_not():
    scan = source("a.dcm", site="Header", device="Scanner", sex="F", age=40.0)
    row = {"file": "a.dcm", "site": "Table", "device": "", "age": "50", "sex": "", "patient": "P9"}
    spec = TableSpec(path="t.csv", file="f", site="s", device="d", age="a", sex="x", patient="p")
    got = join([scan], [row], spec, row_needed=True).sources[0]
    assert (got.site, got.device, got.age, got.sex, got.patient) == ("Table", "Scanner", 50.0, "F", "P9")


def test_rows_that_contradict_each_other_take_the_scan_out_and_a_scan_without_row_too():
    rows = [{"patient": "P1", "label": "0"}, {"patient": "P1", "label": "1"}, {"patient": "P2", "label": "1"}]
    scans = [source("1"), source("2", patient="P2"), source("3", patient="P3")]
    joined = join(scans, rows, TableSpec(path="t.csv", join_on="patient", patient="p", label="y"), row_needed=True)
    assert [scan.path for scan in joined.sources] == ["2"]
    assert {row.path: row.found for row in joined.refused} == {"1": "several rows", "3": "no row"}


def test_other_facts_that_contradict_each_other_are_unknown_and_counted():
    rows = [{"patient": "P1", "label": "1", "age": age, "study": study} for age, study in (("40", "a"), ("41", "b"))]
    spec = TableSpec(path="t.csv", join_on="patient", patient="p", label="y", age="a", study="s")
    joined = join([source("1")], rows, spec, row_needed=True)
    assert (joined.sources[0].age, joined.sources[0].label) == (None, "1")
    assert "disagree on 1 facts" in joined.notes[0]


def test_rows_without_a_scan_are_counted():
    rows = [{"file": "a.png", "label": "1"}, {"file": "../../etc/passwd", "label": "1"}]
    joined = join([source("a.png")], rows, TableSpec(path="t.csv", file="f", label="y"), row_needed=True)
    assert joined.notes == ["1 entries of the table match no scan that was read."]


def test_a_table_that_matches_nothing_says_what_would():
    scans, spec = [source("a/b.png")], TableSpec(path="t.csv", file="f", label="y")
    with pytest.raises(UserError, match=r"column 'f' \(1 rows\).*file of 1 files") as caught:
        join(scans, [{"file": "b", "label": "1"}], spec, row_needed=True)
    assert "cohort.table.match_file=stem" in str(caught.value)
    with pytest.raises(UserError, match=r"join_on=patient cohort\.table\.patient=f"):
        join(scans, [{"file": "P1", "label": "1"}], spec, row_needed=True)
    with pytest.raises(UserError, match=r"Check cohort\.table\.join_on"):
        join(scans, [{"file": "else", "label": "1"}], spec, row_needed=True)


def test_leading_zeros_that_a_spreadsheet_dropped_are_named():
    spec = TableSpec(path="t.xlsx", join_on="patient", patient="id", label="y")
    with pytest.raises(UserError, match="leading zeros, which spreadsheets drop: write 'id' as text"):
        join([source("a.nii", patient="sub-007")], [{"patient": "7", "label": "1"}], spec, row_needed=True)


@pytest.mark.parametrize(
    ("rule", "labels", "expected"),
    [("majority", "110", "1"), ("majority", "01", None), ("list", "101", "0|1"), ("list", ("", ""), ""),
     ("refuse", "11", "1"), ("refuse", "10", None)],
)  # fmt: skip
def test_rows_of_one_scan_with_other_labels(rule, labels, expected):
    spec = TableSpec(path="t.csv", file="f", label="y", several_rows=rule)
    rows = [{"file": "a.png", "label": label} for label in labels]
    joined = join([source("a.png")], rows, spec, row_needed=True, separator="|")
    assert [scan.label for scan in joined.sources] == ([] if expected is None else [expected])
    assert joined.counts.contradicted == (expected is None)


@pytest.mark.parametrize(("rule", "labels", "expected"), [("refuse", "25", "2"), ("refuse", "02", None),
                                                          ("majority", "025", "2")])  # fmt: skip
def test_rows_of_one_class_agree(rule, labels, expected):
    spec = TableSpec(path="t.csv", file="f", label="y", several_rows=rule)
    rows = [{"file": "a.png", "label": label} for label in labels]
    joined = join([source("a.png")], rows, spec, row_needed=True, class_of=lambda text: text != "0")
    assert [scan.label for scan in joined.sources] == ([] if expected is None else [expected])


def test_scans_without_a_row_can_have_a_label_of_their_own():
    spec = TableSpec(path="t.csv", file="f", label="y", no_row="0")
    joined = join([source("a.png"), source("b.png")], [{"file": "a.png", "label": "1"}], spec, row_needed=True)
    assert [scan.label for scan in joined.sources] == ["1", "0"]


def test_a_later_table_is_joined_by_what_an_earlier_one_said():
    images = TableSpec(path="i.csv", file="f", patient="p", view="v")
    people = TableSpec(path="p.csv", join_on="patient", patient="p", sex="x", view="v")
    first = join([source("a.png", patient="a.png")], [{"file": "a.png", "patient": "P9", "view": "AP"}], images, True)
    rows = [{"patient": "P9", "sex": "2", "view": "PA"}]
    (scan,) = join(first.sources, rows, people, False, recode={"sex": {"2": "F"}}).sources
    assert (scan.patient, scan.sex, scan.view) == ("P9", "F", "PA")


def test_both_sides_of_a_join_are_counted_in_a_table():
    rows = [{"patient": p, "label": y} for p, y in (("P1", "0"), ("P1", "1"), ("P2", "1"), ("P4", "1"))]
    scans = [source("1"), source("2", patient="P2"), source("2b", patient="P2"), source("3", patient="P3")]
    spec = TableSpec(path="t.csv", join_on="patient", patient="p", label="y")
    table = joins_table([join(scans, rows, spec, True, name="table.also.findings").counts])
    assert table.rows == (("table.also.findings", "patient", "4", "3", "1", "1", "1"),)
    assert table.patients == (2,)


def test_a_further_table_that_matches_nothing_is_named():
    spec = TableSpec(path="t.csv", join_on="study", study="study_id", label="Edema")
    with pytest.raises(UserError, match=r"with cohort\.table\.also\.x\.join_on=patient cohort\.table\.also\.x\.pa"):
        join([source("a.png")], [{"study": "P1", "label": "1"}], spec, True, name="table.also.x")
