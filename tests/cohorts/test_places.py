from collections import Counter

import pytest

from synthassay.cohorts.places import harmonise, site_folder
from synthassay.cohorts.sources import Source
from synthassay.cohorts.specs import LabelSpec, SplitSpec
from synthassay.errors import UserError
from synthassay.scans.devices import DeviceFacts


def source(number: int, **facts) -> Source:
    return Source(path=f"{number}.dcm", patient=f"P{number}", study=f"S{number}", series=f"X{number}", **facts)


def test_spellings_of_one_site_and_device_become_one_and_the_table_says_which(scans):
    siemens = {"device": "Siemens Skyra", "scanner": DeviceFacts(manufacturer="SIEMENS")}
    sources = [source(0, site="North Hospital", **siemens), source(1, site="NORTH HOSPITAL", **siemens),
               source(2, site="North Hospital", device="Siemens SKYRA"), source(3)]  # fmt: skip
    placed, table, notes = harmonise(sources, scans.dicom_spec())
    assert [(one.site, one.device) for one in placed] == [("North Hospital", "Siemens Skyra")] * 3 + [(None, None)]
    assert table is not None
    assert table.rows == (
        ("Siemens SKYRA", "Siemens Skyra", "device", "1", "1"), ("SIEMENS", "Siemens", "manufacturer", "2", "2"),
        ("NORTH HOSPITAL", "North Hospital", "site", "1", "1"),
    )  # fmt: skip
    assert table.patients == (1, 2, 1)
    assert notes == []


def test_nothing_to_merge_leaves_no_table(scans):
    assert harmonise([source(0, site="A"), source(1, site="B")], scans.dicom_spec())[1:] == (None, [])


def test_sites_are_merged_as_asked(scans):
    spec = scans.dicom_spec(merge_sites={"north-wing": "North Hospital", "Elsewhere": "Nowhere"})
    assert spec.merge_sites == (("north-wing", "North Hospital"), ("Elsewhere", "Nowhere"))
    placed, table, notes = harmonise([source(0, site="North Wing"), source(1, site="North Hospital")], spec)
    assert {one.site for one in placed} == {"North Hospital"}
    assert table is not None
    assert table.rows == (("North Wing", "North Hospital", "site", "1", "1"),)
    assert notes == ["cohort.merge_sites names 1 sites that no scan has."]


@pytest.mark.parametrize(
    ("site_from", "expected"), [("folder:1", "north"), ("folder:2", "sub-01"), ("folder:3", None), ("none", None)]
)
def test_a_folder_names_the_site(scans, site_from, expected):
    assert site_folder("north/sub-01/1.dcm", scans.dicom_spec(site_from=site_from)) == expected


def by_folder(scans, root, patients_in_each: int):
    for number in range(20):
        scans.dicom(root / f"ward {number // patients_in_each}" / f"{number}.dcm", scans.texture(number),
                    PatientID=f"PID-{number:04d}", StudyInstanceUID=scans.uid(number),
                    SeriesInstanceUID=scans.uid("s", number))  # fmt: skip
    return scans.dicom_spec(table=None, label=LabelSpec(source="none"), site_from="folder:1")


def test_folders_become_sites_of_the_cohort(scans, prepare, tmp_path):
    spec = by_folder(scans, tmp_path / "scans", 10)
    sites = prepare(spec, tmp_path / "scans").images.groups["site"].tolist()
    assert Counter(sites) == {"ward 0": 10, "ward 1": 10}


def test_folders_of_patients_are_not_taken_for_sites(scans, prepare, tmp_path):
    spec = by_folder(scans, tmp_path / "scans", 1)
    with pytest.raises(UserError, match="each of 20 folders holds one patient"):
        prepare(spec, tmp_path / "scans")


def test_a_site_is_held_out_by_the_name_that_its_spellings_got(scans, prepare, tmp_path):
    spellings = ("North Hospital", "North Hospital", "NORTH-HOSPITAL", "South Hospital")
    for number in range(40):
        scans.dicom(tmp_path / "scans" / f"{number}.dcm", scans.texture(number), PatientID=f"PID-{number:04d}",
                    StudyInstanceUID=scans.uid(number), SeriesInstanceUID=scans.uid("s", number),
                    InstitutionName=spellings[number % 4])  # fmt: skip
    spec = scans.dicom_spec(table=None, label=LabelSpec(source="none"),
                            split=SplitSpec(external_sites=("South Hospital",)))  # fmt: skip
    cohort = prepare(spec, tmp_path / "scans")
    assert Counter(cohort.images.groups["site"].tolist()) == {"North Hospital": 30, "South Hospital": 10}
    assert (cohort.splits == "external").sum() == 10


def test_the_facts_of_the_scanner_are_in_the_records(scans, prepare, tmp_path):
    for number in range(20):
        scans.dicom(tmp_path / "scans" / f"{number}.dcm", scans.texture(number), PatientID=f"PID-{number:04d}",
                    StudyInstanceUID=scans.uid(number), SeriesInstanceUID=scans.uid("s", number), KVP="120",
                    SoftwareVersions="B17", ConvolutionKernel="BONE", MagneticFieldStrength="")  # fmt: skip
    spec = scans.dicom_spec(table=None, label=LabelSpec(source="none"), device_from=("manufacturer", "model", "kvp"))
    record = prepare(spec, tmp_path / "scans").records[0]
    assert (record.device, record.manufacturer, record.model) == ("Siemens Skyra, 120 kVp", "Siemens", "Skyra")
    assert (record.software, record.kvp, record.kernel, record.field_strength_t) == ("B17", 120.0, "BONE", None)
