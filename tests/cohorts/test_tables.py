from pathlib import Path

import pandas as pd
import pytest

from synthassay.cohorts.specs import TableSpec
from synthassay.cohorts.tables import read_table
from synthassay.errors import UserError
from synthassay.scans.limits import LimitSpec

LIMITS = LimitSpec()


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


def test_columns_are_put_together_where_one_does_not_say_it(tmp_path):
    (tmp_path / "t.csv").write_text("patient,x_coord,side,view\n004,12,Frontal,AP\n005,13,Lateral,\n")
    spec = TableSpec(path="t.csv", file="patch_{patient}_x_{x_coord}.png", view="{side} {view}")
    rows = read_table(spec, tmp_path, False, LIMITS)
    assert [row["file"] for row in rows] == ["patch_004_x_12.png", "patch_005_x_13.png"]
    assert [row["view"] for row in rows] == ["Frontal AP", "Lateral"]
    with pytest.raises(UserError, match=r"no site column 'hospital'.\nIts columns are 'patient', 'x_coord'"):
        read_table(TableSpec(path="t.csv", file="patient", site="site {hospital}"), tmp_path, False, LIMITS)


def test_messages_name_the_setting_of_the_table_that_they_are_about(tmp_path):
    (tmp_path / "t.csv").write_text("study_id,Pneumonia\n7,1\n")
    spec = TableSpec(path="t.csv", join_on="study", study="study_id", label="Edema")
    with pytest.raises(UserError, match=r"Set cohort\.table\.also\.findings\.label to one of them"):
        read_table(spec, tmp_path, True, LIMITS, "table.also.findings")


def test_several_files_are_one_table_and_their_folder_is_a_column(tmp_path):
    for number, group in ((1, "NOR"), (2, "DCM")):
        folder = tmp_path / "training" / f"patient{number:03d}"
        folder.mkdir(parents=True)
        (folder / "Info.cfg").write_text(f"Group: {group}\n")
    spec = TableSpec(path="**/Info.cfg", join_on="patient", patient="{folder}", label="Group")
    assert read_table(spec, tmp_path, True, LIMITS) == [
        {"patient": "patient001", "label": "NOR"}, {"patient": "patient002", "label": "DCM"}
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"does not exist under"):
        read_table(TableSpec(path="*/Info.cfg", file="f", label="Group"), tmp_path, True, LIMITS)
    (tmp_path / "training" / "link.cfg").symlink_to(tmp_path.parent / "elsewhere.cfg")
    (tmp_path.parent / "elsewhere.cfg").write_text("Group: X\n")
    with pytest.raises(UserError, match="leaves the cohort's folder"):
        read_table(TableSpec(path="*/*.cfg", file="f"), tmp_path, False, LIMITS)


def test_a_missing_table_of_facts_can_be_left_out(tmp_path):
    with pytest.raises(UserError, match=r"to go without it, set cohort\.table=null or ~cohort\.table\.also\.NAME"):
        read_table(TableSpec(path="sites.xlsx", file="f", site="s"), tmp_path, False, LIMITS)


def test_paths_in_messages_are_the_tables_name_only(tmp_path):
    with pytest.raises(UserError, match=r"the table t\.csv does not exist") as caught:
        read_table(TableSpec(path="t.csv", file="f"), Path("root"), False, LIMITS)
    assert str(tmp_path) not in str(caught.value)
