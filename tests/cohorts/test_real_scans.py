"""Real scans beside the checkout. Counts are those of the data's own documentation."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the real scans in ../shared/data"),
]


@pytest.mark.slow
def test_lgg_mri(shipped, prepare):
    cohort = prepare(shipped("lgg_mri", "cohort.slices.min_foreground=0"), DATA / "lgg_mri")
    assert (len(cohort.images), Counter(cohort.images.labels.tolist())) == (2634, {0: 1722, 1: 912})
    patients = {record.patient_id: record.site for record in cohort.records}
    assert Counter(patients.values()) == {
        "Henry Ford Hospital": 36, "Case Western - St Joseph's": 27, "Thomas Jefferson University": 13
    }  # fmt: skip
    assert set(cohort.split("external").groups["site"].tolist()) == {"Case Western - St Joseph's"}
    assert len(set(cohort.split("external").patients.tolist())) == 27


def test_ham10000_subset(shipped, prepare):
    cohort = prepare(shipped("ham10000", "cohort.max_patients=60"), DATA / "ham10000")
    assert set(cohort.images.groups["device"].tolist()) == {"rosendahl", "vidir_modern"}
    assert any("Site and device coincide" in note for note in cohort.notes)
    assert any("Ids are of lesions" in note for note in cohort.notes)


def test_four_manufacturers_are_read_without_labels(shipped, prepare):
    spec = shipped("dicom", "cohort.slices.min_foreground=0")
    cohort = prepare(spec, DATA / "dicom_vendors")
    makers = {device.split()[0] for device in cohort.images.groups["device"].tolist()}
    assert makers == {"GE", "Philips", "Siemens", "Toshiba"}
    # 321 single images, 64 + 4 * 6 frames, 8 mosaics of 5 tiles, and one of 35 in nine files with a UID each.
    assert len(cohort.images) == 321 + 64 + 4 * 6 + 8 * 5 + 9 * 35
    assert Counter(row.field for row in cohort.quarantined) == {"file": 1}
    (series,) = [table for table in cohort.tables if table.title == "Series found"]
    assert sum(int(row[series.columns.index("Series")]) for row in series.rows) == 13
    assert {row[series.columns.index("What it is")] for row in series.rows} == {"volume"}


def test_series_of_four_manufacturers_are_volumes(shipped, prepare):
    rules = ("dimensions=3", "volume.shape=[16,48,48]", "volume.spacing_mm=4")
    cohort = prepare(shipped("dicom", *(f"cohort.{rule}" for rule in rules)), DATA / "dicom_vendors")
    assert cohort.images.pixels.shape == (40, 1, 16, 48, 48)
    assert all(np.allclose(record.spacing_mm, 4, atol=0.01) for record in cohort.records)
    makers = Counter(device.split()[0] for device in cohort.images.groups["device"].tolist())
    assert makers == {"GE": 11, "Philips": 6, "Siemens": 22, "Toshiba": 1}
    assert [row.field for row in cohort.quarantined] == ["file"]  # the table beside the scans
    assert (cohort.images.pixels.std(axis=(1, 2, 3, 4)) > 1).all()


def test_what_real_headers_carry_is_counted_and_names_of_makers_are_merged(shipped, prepare):
    spec = shipped("dicom")
    cohort = prepare(spec, DATA / "dicom_vendors")
    tables = {table.title: {row[0].partition(" (")[0]: row[1:] for row in table.rows} for table in cohort.tables}
    carried = tables["What the source files carry, by attribute"]
    assert carried["PatientName"][1:3] == ("Z", "283")
    assert carried["PatientBirthDate"][1:3] == ("Z", "49")
    assert carried["private attributes"][2] == "343"
    assert carried["PatientIdentityRemoved: YES"][2] == "44"
    merged = tables["Names that were merged"]
    assert {start: row[0] for start, row in merged.items() if row[1] == "manufacturer"} == {
        "GE MEDICAL SYSTEMS": "GE", "Philips Medical Systems": "Philips", "SIEMENS": "Siemens",
        "Siemens HealthCare GmbH": "Siemens", "TOSHIBA": "Toshiba",
    }  # fmt: skip
    texts = repr(cohort.tables)
    assert not any(value in texts for value in ("Dumbledore", "Avasarala", "ROGERS", "19660101", "19800707"))
    assert {record.field_strength_t for record in cohort.records} == {1.5, 3.0}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "usual", "moved"), [
    ("lgg_mri", 0.906, []), ("ham10000", 0.868, [("nearly equal, shifted or cropped", "2", "2")]),
])  # fmt: skip
def test_images_under_two_patients_are_two_lesions_that_were_photographed_twice(shipped, prepare, name, usual, moved):
    cohort = prepare(shipped(name), DATA / name)
    table = next(table for table in cohort.tables if table.title == "Images under two patients")
    none = [("equal pixel by pixel", "0", "0"), ("nearly equal", "0", "0")]
    assert [row[:3] for row in table.rows] == none + moved
    assert f"usually correlate by {usual}" in table.note


def test_hippocampus_volumes_share_one_policy(shipped, prepare):
    spec = shipped("nifti", "cohort.slices.min_foreground=0")
    cohort = prepare(spec, DATA / "hippocampus")
    assert len({record.patient_id for record in cohort.records}) == 158
    assert cohort.images.pixels.shape[1:] == (1, 64, 64)
    assert cohort.policy["taken_from"] == "generator-train"
    assert [row.path for row in cohort.quarantined if row.field != "file"] == []  # the masks are no scans


def test_hippocampus_volumes_whole_around_their_masks(shipped, prepare):
    rules = ("dimensions=3", "volume.shape=[32,48,40]", "volume.centre=mask", "volume.spacing_mm=1.0", "bits=16",
             "window.mode=scan", "masks.keep=true", "masks.names=[anterior,posterior]")  # fmt: skip
    spec = shipped("nifti", *(f"cohort.{rule}" for rule in rules))
    cohort = prepare(spec, DATA / "hippocampus")
    assert cohort.images.pixels.shape == (158, 1, 32, 48, 40)
    assert cohort.images.pixels.dtype == np.uint16
    brightest = cohort.images.pixels.max(axis=(1, 2, 3, 4))
    assert (brightest == 65535).mean() > 0.9  # maxima from 112 to 1.7 million, each scan by its own percentiles
    masks = cohort.images.masks
    assert masks.shape == (158, 32, 48, 40)
    assert cohort.images.mask_known.all()
    counts = np.stack([(masks == k).sum((1, 2, 3)) for k in (1, 2)], 1)  # cubic millimetres
    assert (counts > 500).all()
    assert (counts.sum(1) < 6000).all()


def test_lgg_mri_keeps_the_masks_that_its_labels_come_from(shipped, prepare):
    cohort = prepare(shipped("lgg_mri", "cohort.masks.keep=true", "cohort.max_patients=16"), DATA / "lgg_mri")
    images = cohort.images
    assert images.mask_names == ("background", "tumour")
    assert images.mask_known.all()
    shows = (images.masks == 1).any((1, 2))
    assert not (shows & (images.labels == 0)).any()
    assert shows[images.labels == 1].mean() > 0.98  # a few pixels at 256 x 256 may fall between those of 64 x 64
    tumour, rest = (images.pixels[shows, 0][images.masks[shows] == k].mean() for k in (1, 0))
    assert tumour > 1.5 * rest  # bright in FLAIR
