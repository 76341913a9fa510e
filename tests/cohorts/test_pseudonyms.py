import os
import re
import stat
from pathlib import Path

import pandas as pd
import pytest

from synthassay.cohorts.pseudonyms import Pseudonyms, load_key, write_private_table
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
    ("path", "suffix"),
    [("PGBM-002/1.DCM", ".dcm"), ("Doe_Jane/sub-01_T1w.nii.gz", ".nii.gz"), ("report.Doe", ""), ("1.2.840.1", ""),
     ("Jane\udcff.txt", ".txt")],
)  # fmt: skip
def test_of_a_quarantined_path_only_a_pseudonym_and_a_known_suffix_stay(path, suffix):
    row = Quarantined(path=path, field="f", found="x", reason="r")
    shown = ONE.quarantined(row)
    assert re.fullmatch("f-[0-9a-f]{12}" + re.escape(suffix), shown.path)
    assert (shown.field, shown.found, shown.reason) == ("f", "x", "r")
    assert shown != OTHER.quarantined(row)


def test_what_a_killed_process_left_does_not_stop_the_next(tmp_path, scans, monkeypatch):
    def killed(source, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", killed)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            load_key(scans.dicom_spec(), tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]
    assert len(load_key(scans.dicom_spec(), tmp_path)) == 32


def test_a_private_table_is_its_owners_alone(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_text("of another time")
    path.chmod(0o666)
    write_private_table(path, {"a": ["1"]})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
