import pytest

from synthassay.scans.descriptions import column_findings, nifti_findings, sidecar_findings
from synthassay.scans.findings import in_path, own_words


def attributes(findings) -> set[str]:
    return {finding.attribute for finding in findings}


def test_what_programs_write_into_a_nifti_header_is_no_finding():
    assert not nifti_findings({"descrip": "FSL5.0", "aux_file": "", "db_name": "\0\0", "intent_name": "Z score"})
    assert not nifti_findings({"descrip": "TE=4.5;sec=12.1;phaseDir=+"})


def test_dates_times_and_names_in_a_nifti_header_are_found_and_not_quoted():
    found = nifti_findings({"descrip": "TE=13;Time=111547.000;mb=3", "aux_file": "Doe^Jane", "db_name": "20200110_1"})
    assert attributes(found) == {
        "NIfTI descrip: a time", "NIfTI aux_file: reads like a name", "NIfTI db_name: a date", "NIfTI db_name",
    }  # fmt: skip
    assert attributes(nifti_findings({}, [2, 6, 4])) == {
        "NIfTI extension with a DICOM header", "NIfTI extension with a comment"
    }  # fmt: skip


def test_keys_of_a_sidecar_are_asked_by_the_dicom_profile():
    facts = {"PatientName": "Doe", "PatientBirthDate": "", "AcquisitionDateTime": "2020", "DeviceSerialNumber": "1",
             "EchoTime": 0.1, "global": {"const": {"InstitutionName": "N"}}, "Notes": "seen 2020-01-10",
             "ConversionSoftwareVersion": "v1.0.20220720"}  # fmt: skip
    found = {finding.attribute.partition(" (")[0]: finding.action for finding in sidecar_findings(facts)}
    assert found == {"PatientName": "Z", "AcquisitionDateTime": "X/Z/D", "DeviceSerialNumber": "X/Z/D",
                     "InstitutionName": "X/Z/D", "sidecar text: a date": "clean"}  # fmt: skip


def test_a_sidecar_without_end_is_looked_at_in_part():
    assert sidecar_findings({"x": [{"PatientName": "Doe"}] * 20_000})


@pytest.mark.parametrize(
    ("heading", "cells", "expected"),
    [("DOB", [], {"table column: dob"}), ("PatientBirthDate", [], {"table column: birth", "table column: date"}),
     ("scan_date", ["2020-01-10"], {"table column: date", "table column of dates"}), ("age", ["45", "46"], set()),
     ("session", ["2020-01-10", "2020-02-11", ""], {"table column of dates"}),
     ("group", ["Doe^Jane"], {"table column of names"}),
     ("StudyInstanceUID", [], {"table column: uid"}), ("site", ["A"], set()), ("lesion_id", ["ISIC_0027419"], set())],
)  # fmt: skip
def test_columns_are_known_by_heading_or_cells(heading, cells, expected):
    assert attributes(column_findings(heading, cells)) == expected


def test_paths_give_away_dates_and_names():
    assert attributes(in_path("2020-01-10/Doe^Jane.nii")) == {"a date", "a patient's name or id"}
    assert not in_path("sub-01/ses-02/anat/sub-01_T1w.nii.gz")
    assert own_words("Test^A", "12") is None
