import re
import stat

import pandas as pd
import pytest

from synthassay.cohorts.pseudonyms import Pseudonyms, Redactor, load_key, write_private_table
from synthassay.errors import UserError
from synthassay.records import Quarantined

ONE, OTHER = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)


def test_pseudonyms_depend_on_id_kind_and_key_only():
    assert ONE.patient("Jane") == ONE.patient("Jane") != OTHER.patient("Jane")
    assert len({ONE.patient("1"), ONE.study("1", "1"), ONE.scan("1", 1), ONE.scan("1", 2), ONE.scan("11", 0)}) == 5
    assert ONE.patient("Jane")[:2] == "p-"
    assert len(ONE.patient("Jane")) == 14
    assert ONE.study("a", "b").startswith("st-")
    assert ONE.scan("a", 0).startswith("s-")


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path, scans):
    keys = tmp_path / "keys"
    key = load_key(scans.dicom_spec(), keys)
    assert key == load_key(scans.dicom_spec(), keys)
    assert stat.S_IMODE((keys / "scans.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert key != load_key(scans.dicom_spec(name="other"), keys)
    assert sorted(path.name for path in keys.iterdir()) == ["other.key", "scans.key"]


def test_a_key_file_of_ones_own_is_used(tmp_path, scans):
    path = tmp_path / "elsewhere" / "my.key"
    key = load_key(scans.dicom_spec(key_file=str(path)), tmp_path / "keys")
    assert bytes.fromhex(path.read_text().strip()) == key


def test_a_key_that_others_can_read_or_that_is_damaged_is_refused(tmp_path, scans):
    load_key(scans.dicom_spec(), tmp_path)
    path = tmp_path / "scans.key"
    path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        load_key(scans.dicom_spec(), tmp_path)
    path.chmod(0o600)
    for text in ("", "abcd", "not hexadecimal"):
        path.write_text(text)
        with pytest.raises(UserError, match="damaged"):
            load_key(scans.dicom_spec(), tmp_path)


def test_private_tables_are_for_their_owner_only(tmp_path):
    path = tmp_path / "keys" / "t.parquet"
    write_private_table(path, {"a": ["1", "2"]})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert pd.read_parquet(path)["a"].tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("PGBM-002/1.dcm", "PGBM"), ("a/pgbm_002_T1.dcm", "002"), ("PGBM002.dcm", "PGBM"),
        ("Doe_Jane/x.dcm", "Doe"), ("JaneDoe.dcm", "Jane"), ("visit jane/x.dcm", "jane"),
        ("1.2.840.113619.2.55/3.dcm", "113619"), ("scan-20140310-1.dcm", "20140310"), ("2014-03-10/x.dcm", "2014"),
        ("sub-01/anat/sub-01_T1w.nii", "01"),
    ],
)  # fmt: skip
def test_identifiers_are_taken_out_of_paths(path, hidden):
    redactor = Redactor(["PGBM-002", "Doe^Jane", "sub-01", "01"], ONE)
    shown = redactor.row(Quarantined(path=path, field="f", found="x", reason="r")).path
    assert "x-" in shown
    assert hidden not in re.sub("x-[0-9a-f]{8}", "", shown)


def test_paths_without_identifiers_stay_as_they_are():
    redactor = Redactor(["PGBM-002", "Doe^Jane"], ONE)
    for path in ("series 3/IM_0001.dcm", "dataset_description.json", "PGBM/readme.txt", "a.b/c--d.png"):
        assert redactor.row(Quarantined(path=path, field="f", found="x", reason="r")).path == path


def test_two_identifiers_stay_different_when_hidden():
    redactor = Redactor(["AB1", "AB2"], ONE)
    shown = {
        redactor.row(Quarantined(path=f"{name}.dcm", field="", found="", reason="")).path for name in ("AB1", "AB2")
    }
    assert len(shown) == 2
