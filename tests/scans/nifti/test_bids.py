"""What the files around a BIDS scan say about it."""

import json
from pathlib import Path

import pytest

from synthassay.scans.nifti.bids import BidsFolder, entity

SCAN = "sub-01/ses-2/anat/sub-01_ses-2_run-1_T1w.nii.gz"


@pytest.fixture
def folder(tmp_path):
    """``folder({path: content})``: a mapping is written as JSON, text as it is."""

    def write(files):
        for path, content in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(content if isinstance(content, str) else json.dumps(content))
        return BidsFolder(tmp_path, [p.relative_to(tmp_path).as_posix() for p in Path(tmp_path).rglob("*.*")])

    return write


def test_nearer_sidecars_go_before_farther_ones(folder):
    bids = folder({
        "T1w.json": {"a": 1, "b": 1, "c": 1}, "sub-01/sub-01_T1w.json": {"b": 2, "c": 2},
        "sub-01/ses-2/anat/sub-01_ses-2_run-1_T1w.json": {"c": 3},
    })  # fmt: skip
    assert bids.facts(SCAN) == {"a": 1, "b": 2, "c": 3}
    assert bids.facts("sub-02/anat/sub-02_T1w.nii.gz") == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("path", [
    "bold.json", "sub-01/sub-01_ses-1_T1w.json", "sub-02/sub-02_T1w.json", "sub-01/ses-2/anat/sub-01_run-2_T1w.json",
    "sub-01/ses-2/sub-01_acq-fast_T1w.json",
])  # fmt: skip
def test_sidecars_of_other_scans_do_not_apply(folder, path):
    assert folder({path: {"a": 1}}).facts(SCAN) == {}


def test_a_name_that_is_no_bids_name_has_its_own_sidecar_only(folder):
    bids = folder({"x/case_01.json": {"a": 1}, "x/01.json": {"a": 2}, "01.json": {"a": 3}})
    assert bids.facts("x/case_01.nii.gz") == {"a": 1}


def test_sessions_and_scans_tables(folder):
    bids = folder({
        "sub-01/sub-01_sessions.tsv": "session_id\tage\tacq_time\nses-1\t40\tn/a\nses-2\t41\t2001-02-03T04:05:06\n",
        "sub-01/ses-2/sub-01_ses-2_scans.tsv":
            "filename\tacq_time\nanat/sub-01_ses-2_run-1_T1w.nii.gz\t2001-02-04T00:00:00\n",
        "sub-03/sub-03_scans.tsv": "filename\tacq_time\nanat/sub-03_T1w.nii.gz\t2001-02-05\n",
    })  # fmt: skip
    assert bids.session_row(SCAN)["age"] == "41"
    assert bids.scan_row(SCAN)["acq_time"] == "2001-02-04T00:00:00"
    assert bids.scan_row("sub-03/anat/sub-03_T1w.nii.gz")["acq_time"] == "2001-02-05"
    assert bids.tables(SCAN) == ["sub-01/sub-01_sessions.tsv", "sub-01/ses-2/sub-01_ses-2_scans.tsv"]
    assert bids.session_row("sub-03/anat/sub-03_T1w.nii.gz") == {}


def test_derivatives_find_their_own_tables(folder):
    bids = folder({"derivatives/x/sub-01/sub-01_sessions.tsv": "session_id\tage\nses-2\t50\n"})
    assert bids.session_row(f"derivatives/x/{SCAN}")["age"] == "50"
    assert bids.session_row(SCAN) == {}


@pytest.mark.parametrize("content", ["{", "[1]", "[" * 100_000, "\0\xff"])
def test_a_broken_sidecar_says_nothing(folder, content):
    assert folder({"T1w.json": content}).facts(SCAN) == {}


def test_a_broken_table_says_nothing(folder):
    bids = folder({"sub-01/sub-01_sessions.tsv": "session_id\nses-2\tmore\tcells\n\n\0\n"})
    assert bids.session_row(SCAN) in ({}, {"session_id": "ses-2"})


def test_only_files_that_were_found_are_opened(tmp_path):
    (tmp_path / "T1w.json").write_text('{"a": 1}')
    assert BidsFolder(tmp_path, [SCAN]).facts(SCAN) == {}


def test_entities_keep_their_prefix():
    assert (entity(SCAN, "sub"), entity(SCAN, "ses"), entity(SCAN, "acq")) == ("sub-01", "ses-2", None)
