from collections import Counter

import numpy as np

from synthassay.cohorts.carried import Carried, header_tables, with_findings
from synthassay.cohorts.deidentification_specs import DeidentificationSpec
from synthassay.cohorts.planes import finish
from synthassay.cohorts.sources import Image, Source
from synthassay.scans.burned_in import IN_PIXELS
from synthassay.scans.findings import Finding
from synthassay.scans.planes import RawPlane

NAME = Finding("patient", "PatientName (0010,0010)", "Z")
WEIGHT = Finding("patient", "PatientWeight (0010,1030)", "X")
DATE = Finding("dates and times", "StudyDate (0008,0020)", "Z")


def test_files_patients_and_series_are_counted_for_each_attribute_and_kind():
    files = {"a": Carried(frozenset({NAME, DATE}), "P1", "S1"), "b": Carried(frozenset({NAME, DATE}), "P1", "S2"),
             "c": Carried(frozenset({DATE, WEIGHT}), "P2", "S3"), "d": Carried(frozenset(), "P3", "S4")}  # fmt: skip
    kinds, attributes = header_tables(files)
    assert kinds.rows == (("patient", "3", "2", "3", "PatientName, PatientWeight"),
                          ("dates and times", "3", "2", "3", "StudyDate"))  # fmt: skip
    assert attributes.rows == (
        (NAME.attribute, "patient", "Z", "2", "1", "2"), (WEIGHT.attribute, "patient", "X", "1", "1", "1"),
        (DATE.attribute, "dates and times", "Z", "3", "2", "3"),
    )  # fmt: skip
    assert attributes.patients == (1, 1, 2)


def test_without_files_there_are_no_tables():
    assert header_tables({}) == []


def rows(cohort, title: str) -> dict[str, tuple[str, ...]]:
    return {row[0].partition(" (")[0]: row for table in cohort.tables if table.title == title for row in table.rows}


def test_what_headers_carry_travels_with_the_cohort_also_of_files_that_are_not_used(dicom_tree, scans, prepare):
    root = dicom_tree(20)
    report = scans.dicom(root / "report.dcm", scans.texture(1), PatientID="PID-0003", PatientComments="text")
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(report, keyword)
    report.save_as(root / "report.dcm")
    carried = rows(prepare(scans.dicom_spec(), root), "What the source files carry, by attribute")
    assert carried["PatientName"][3:] == ("21", "20", "21")
    assert carried["PatientComments"][3:5] == ("1", "1")
    assert carried["StudyDate"][2:4] == ("Z", "21")


def test_sidecars_nifti_headers_and_names_of_files_are_looked_at(bids_tree, scans, prepare):
    root = bids_tree(8)
    (root / "sub-00" / "anat" / "sub-00_FLAIR.json").write_text('{"AcquisitionDateTime": "2020", "PatientName": "x"}')
    import nibabel

    path = root / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz"
    image = nibabel.load(path)
    image.header["db_name"] = b"Doe^Jane"
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), image.affine, image.header), path)
    carried = rows(prepare(scans.bids_spec(), root), "What the source files carry, by attribute")
    assert carried["AcquisitionDateTime"][2:4] == ("X/Z/D", "1")
    assert carried["NIfTI db_name"][3] == "1"
    assert Counter(name.partition(":")[0] for name in carried) >= Counter({"NIfTI db_name": 2, "PatientName": 1})


def test_dates_in_the_names_of_pictures_are_found(image_tree, scans, prepare):
    root = image_tree(10)
    (root / "png").rename(root / "2020-01-10")
    text = (root / "table.csv").read_text().replace("png/0", "2020-01-10/0")
    (root / "table.csv").write_text(text)
    assert rows(prepare(scans.images_spec(), root), "What the source files carry, by attribute")["a date"][3:] == (
        "20", "10", "20"
    )  # fmt: skip


def test_text_in_pixels_is_looked_for_where_it_is_asked_for(scans, monkeypatch):
    seen: list[float] = []

    def shown(values) -> bool:
        seen.append(float(values.flat[0]))
        return False

    monkeypatch.setattr("synthassay.cohorts.planes.shows_text", shown)
    planes = [RawPlane(values=np.full((20, 20), index, np.float32)) for index in range(9)]
    assert finish(planes, scans.dicom_spec(), "").carried == frozenset()
    assert seen == []
    spec = scans.dicom_spec(deidentification=DeidentificationSpec(ocr=True))
    assert finish(planes, spec, "").carried == frozenset()
    assert seen == [0, 4, 8]
    monkeypatch.setattr("synthassay.cohorts.planes.shows_text", lambda values: values.shape == (20, 20))
    assert finish(planes, spec, "").carried == frozenset({IN_PIXELS})  # as large as in the source


def test_what_was_found_with_the_pixels_is_counted_with_the_header():
    carried = Carried(frozenset({NAME}), "P", "S")
    image = Image(source=Source(path="a", patient="P", study="S", series="S"), plane=None, sha256="", chunk=0, row=0,
                  carried=frozenset({IN_PIXELS}))  # fmt: skip
    assert with_findings({"a": carried, "b": carried}, [image]) == {
        "a": Carried(frozenset({NAME, IN_PIXELS}), "P", "S"), "b": carried
    }  # fmt: skip


def test_that_nothing_was_found_is_said(image_tree, scans, prepare):
    cohort = prepare(scans.images_spec(), image_tree())
    assert not [table for table in cohort.tables if "carry" in table.title]
    assert ("Nothing that identifies people was found in the names and columns of 21 files and tables; "
            "this says nothing of pixels."
            in cohort.notes)  # fmt: skip
