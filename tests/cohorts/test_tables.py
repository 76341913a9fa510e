from pathlib import Path

import pandas as pd
import pytest

from synthassay.cohorts.sources import Source
from synthassay.cohorts.specs import TableSpec
from synthassay.cohorts.tables import join, read_table
from synthassay.errors import UserError
from synthassay.scans.limits import LimitSpec

LIMITS = LimitSpec()


def source(path: str, **changes) -> Source:
    return Source(**{"path": path, "patient": "P1", "study": "1.2", "series": "1.2.3", **changes})


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_every_kind_of_table_gives_the_same_rows(tmp_path, suffix):
    frame = pd.DataFrame({"f": ["a.png", "b.png"], "y": [1, 0], "years": [30.5, None], "other": ["x", "y"]})
    path = tmp_path / f"t{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep="\t" if suffix == ".tsv" else ",", index=False)
    rows = read_table(TableSpec(path=path.name, file="f", label="y", age="years"), tmp_path, True, LIMITS)
    assert rows == [{"file": "a.png", "label": "1", "age": "30.5"}, {"file": "b.png", "label": "0", "age": ""}]


def test_a_missing_label_column_is_named_with_the_columns_there_are(tmp_path):
    (tmp_path / "t.csv").write_text("file,diagnosis\na.png,1\n")
    with pytest.raises(UserError, match=r"no label column 'lesion'.\nIts columns are 'file', 'diagnosis'") as caught:
        read_table(TableSpec(path="t.csv", file="file", label="lesion"), tmp_path, True, LIMITS)
    assert "cohort.table.label" in str(caught.value)
    rows = read_table(TableSpec(path="t.csv", file="file", label="lesion"), tmp_path, False, LIMITS)
    assert rows == [{"file": "a.png"}]


@pytest.mark.parametrize("row", ["p0123.png,melanoma", "a.png,Doe^Jane", "a.png,1", "a.png,4.5"])
def test_the_first_row_of_a_table_without_a_header_is_not_shown(tmp_path, row):
    (tmp_path / "t.csv").write_text(f"{row}\nb.png,nevus\n")
    with pytest.raises(UserError, match="It has 2 columns, whose first row looks like data") as caught:
        read_table(TableSpec(path="t.csv", file="file", label="lesion"), tmp_path, True, LIMITS)
    assert not any(cell in str(caught.value) for cell in ("png", "melanoma", "Doe", "4.5"))


@pytest.mark.parametrize(
    ("content", "message"), [(b"file,label\n", "no rows"), (b"\xff\xfe\x00", "cannot be read"), (b"", "cannot be read")]
)
def test_tables_that_hold_nothing_to_read(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_table(TableSpec(path="t.csv", file="file", label="label"), tmp_path, True, LIMITS)


def test_a_table_outside_the_root_needs_an_absolute_path(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "t.csv").write_text("file\na.png\n")
    with pytest.raises(UserError, match="leaves the cohort's folder"):
        read_table(TableSpec(path="../t.csv", file="file"), root, False, LIMITS)
    assert read_table(TableSpec(path=str(tmp_path / "t.csv"), file="file"), root, False, LIMITS)


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
     ("stem", "1.2.34", "1.2.34"), ("path", "a\\b.png", "a/b.png"), ("path", "./a/b.png", "a/b.png")],
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


def test_paths_in_messages_are_the_tables_name_only(tmp_path):
    with pytest.raises(UserError, match=r"the table t\.csv does not exist") as caught:
        read_table(TableSpec(path="t.csv", file="f"), Path("root"), False, LIMITS)
    assert str(tmp_path) not in str(caught.value)
