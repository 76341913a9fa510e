"""The whole room at once, on trees of a few kilobytes."""

import json
import os
import re
import shutil
import stat
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from synthassay.cohorts.prepare import prepare_cohort, source_fingerprint, table_stem
from synthassay.cohorts.specs import LabelSpec, SliceSpec, SplitSpec, TableSpec, WindowSpec
from synthassay.errors import UserError
from synthassay.records import SPLITS, SilentProgress
from synthassay.specs import Resources

PLANTED = ("PID-0", "Planted", "p003", "1.2.826")  # patient id, name, file name, prefix of the instance UIDs


def test_a_folder_of_dicom_becomes_a_cohort(dicom_tree, scans, prepare):
    cohort = prepare(scans.dicom_spec(), dicom_tree(20))
    images = cohort.images
    assert images.pixels.shape == (20, 1, 8, 8)
    assert images.pixels.dtype == np.uint8
    assert not images.pixels.flags.writeable
    assert Counter(images.labels.tolist()) == {0: 10, 1: 10}
    assert Counter(images.groups["site"].tolist()) == {"North Hospital": 10, "South Hospital": 10}
    assert set(images.groups["device"].tolist()) == {"Siemens Skyra"}
    assert set(images.groups["age_band"].tolist()) == {"40-59"}
    assert Counter(cohort.splits.tolist()) == dict(zip(SPLITS, (10, 2, 2, 2, 4), strict=False))
    assert (images.name, images.label_names, cohort.positive) == ("real/scans", ("0", "1"), 1)
    assert [record.scan_id for record in cohort.records] == images.ids.tolist()
    json.dumps(dict(cohort.policy), allow_nan=False)


def test_sixteen_bits_keep_more_levels(dicom_tree, scans, prepare):
    pixels = prepare(scans.dicom_spec(bits=16), dicom_tree(8)).images.pixels
    assert pixels.dtype == np.uint16
    assert len(np.unique(pixels)) > 256


def test_no_source_id_is_in_the_cohort_or_the_work_folder(dicom_tree, scans, prepare, tmp_path):
    root = dicom_tree(20)
    (root / "PID-0003").mkdir()
    (root / "PID-0003" / "broken.dcm").write_bytes((root / "p003.dcm").read_bytes()[:400])
    (root / "Planted_Name4.txt").write_text("notes")
    (root / "p019.dcm").write_bytes((root / "p019.dcm").read_bytes()[:-100])
    cohort = prepare(scans.dicom_spec(), root)
    text = repr(
        (cohort.records, cohort.quarantined, cohort.notes, cohort.policy, cohort.images.ids, cohort.images.patients)
    )
    assert len(cohort.quarantined) == 3
    for planted in PLANTED:
        assert planted not in text
    for path in tmp_path.glob("work-0/**/*"):
        assert not path.is_file() or not any(planted.encode() in path.read_bytes() for planted in PLANTED)


def test_the_way_back_lies_beside_the_key_for_its_owner_only(dicom_tree, scans, prepare, tmp_path):
    root = dicom_tree(20)
    (root / "p019.dcm").write_bytes((root / "p019.dcm").read_bytes()[:-100])
    cohort = prepare(scans.dicom_spec(), root)
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    stem = table_stem(scans.dicom_spec(), root)
    assert re.fullmatch("scans-[0-9a-f]{8}", stem)
    tables = [f"{stem}.{kind}.parquet" for kind in ("sources", "quarantine", "series")]
    assert files == dict.fromkeys(["scans.key", *tables], 0o600)
    sources = pd.read_parquet(tmp_path / "keys" / f"{stem}.sources.parquet")
    assert sources["scan_id"].tolist() == cohort.images.ids.tolist()
    assert sources["source_patient"].tolist() == [f"PID-{number:04d}" for number in range(19)]
    assert pd.read_parquet(tmp_path / "keys" / f"{stem}.quarantine.parquet")["path"].tolist() == ["p019.dcm"]


def test_cohorts_of_one_name_from_two_folders_keep_a_way_back_each(dicom_tree, scans, prepare, tmp_path):
    first = dicom_tree(10)
    second = tmp_path / "second"
    shutil.copytree(first, second)
    (second / "p009.dcm").unlink()
    for root in (first, second, first):
        prepare(scans.dicom_spec(), root)
    tables = [pd.read_parquet(path) for path in (tmp_path / "keys").glob("scans-*.sources.parquet")]
    assert sorted(len(table) for table in tables) == [9, 10]


def test_another_key_gives_the_same_pixels_order_and_split_under_other_names(dicom_tree, scans, prepare):
    root = dicom_tree(20)
    one, other = (prepare(scans.dicom_spec(), root, keys=keys) for keys in ("keys", "other"))
    assert np.array_equal(one.images.pixels, other.images.pixels)
    assert one.splits.tolist() == other.splits.tolist()
    assert one.content_id == other.content_id
    assert dict(one.policy) == dict(other.policy)
    assert not set(one.images.ids.tolist()) & set(other.images.ids.tolist())
    assert not set(one.images.patients.tolist()) & set(other.images.patients.tolist())


def test_the_window_comes_from_generator_train_alone(image_tree, scans, prepare):
    root = image_tree(10)
    spec = scans.images_spec(window=WindowSpec(low=1, high=99))
    before = prepare(spec, root)
    files = sorted(path for path in (root / "png").iterdir())
    for split, changes in (("test", False), ("control-a", False), ("generator-train", True)):
        row = int(np.flatnonzero(before.splits == split)[0])
        original = files[row].read_bytes()
        Image.new("RGB", (30, 24), (255, 255, 255)).save(files[row])
        after = prepare(spec, root)
        assert (dict(after.policy) != dict(before.policy)) is changes
        assert not np.array_equal(after.images.pixels[row], before.images.pixels[row])
        files[row].write_bytes(original)


def test_bids_volumes_become_slices_labelled_by_their_masks(bids_tree, scans, prepare):
    root = bids_tree(8)
    (root / "dataset_description.json").write_text("{}")
    cohort = prepare(scans.bids_spec(slices=SliceSpec(min_foreground=0.05)), root)
    assert len(cohort.images) == 24  # the empty last slice of each volume is dropped
    assert cohort.images.labels.tolist() == [0, 1, 0] * 8
    assert cohort.images.label_names == ("no tumour", "tumour")
    assert cohort.images.covariates["slice_position"].tolist() == pytest.approx([0, 1 / 3, 2 / 3] * 8)
    assert set(cohort.images.groups["site"].tolist()) == {"A", "B"}
    assert cohort.images.covariates["age"][:3].tolist() == [30.0] * 3
    assert [row.path.rpartition(".")[2] for row in cohort.quarantined] == ["json"]
    assert any("Every patient has the label 'tumour'" in note for note in cohort.notes)
    assert "cohort.slices.min_foreground left out 8 of 32 images." in cohort.notes


def test_a_volume_with_nan_is_quarantined_and_the_rest_is_used(bids_tree, scans, prepare):
    root = bids_tree(8)
    values = np.full((16, 18, 4), np.nan, np.float32)
    scans.volume(root / "sub-03" / "anat" / "sub-03_FLAIR.nii.gz", values)
    cohort = prepare(scans.bids_spec(), root)
    assert len(set(cohort.images.patients.tolist())) == 7
    (row,) = cohort.quarantined
    assert (row.field, row.found, row.reason) == ("voxels", "all are NaN", "no voxel is a number")
    assert re.fullmatch(r"f-[0-9a-f]{12}\.nii\.gz", row.path)


def test_photographs_keep_their_full_range_whatever_their_content(image_tree, scans, prepare):
    root = image_tree(10)
    Image.new("RGB", (30, 24), (100, 150, 200)).save(root / "png" / "000.png")
    cohort = prepare(scans.images_spec(), root)
    assert cohort.images.pixels.shape == (20, 3, 8, 8)
    assert cohort.images.pixels[0, :, 4, 4].tolist() == [100, 150, 200]
    assert (cohort.policy["mode"], cohort.policy["low"], cohort.policy["high"]) == ("fixed", 0, 255)


def test_without_a_patient_column_each_image_is_a_patient_and_that_is_said(image_tree, scans, prepare):
    table = TableSpec(path="table.csv", file="path", label="bad")
    cohort = prepare(scans.images_spec(table=table), image_tree(10))
    assert len(set(cohort.images.patients.tolist())) == 20
    assert any("20 files have no patient id and count as a patient each" in note for note in cohort.notes)


def test_scans_without_labels_can_be_prepared(dicom_tree, scans, prepare):
    root = dicom_tree(10)
    cohort = prepare(scans.dicom_spec(label=LabelSpec(source="none"), table=None), root)
    assert set(cohort.images.labels.tolist()) == {-1}
    assert cohort.images.label_names == ("unlabelled",)
    assert Counter(row.reason for row in cohort.quarantined) == {"not a scan: not a DICOM file": 1}


def test_an_external_site_is_held_out(dicom_tree, scans, prepare):
    spec = scans.dicom_spec(split=SplitSpec(external_sites=("South Hospital",)))
    cohort = prepare(spec, dicom_tree(20))
    external = cohort.splits == "external"
    assert external.tolist() == (cohort.images.groups["site"] == "South Hospital").tolist()
    assert cohort.split("external").groups["site"].tolist() == ["South Hospital"] * 10


def test_fewer_patients_and_images_on_request(image_tree, scans, prepare):
    cohort = prepare(scans.images_spec(max_patients=8, max_images_per_patient=1), image_tree(12))
    assert len(cohort.images) == len(set(cohort.images.patients.tolist())) == 8
    reasons = Counter(row.reason for row in cohort.quarantined)
    assert reasons == {"left out by cohort.max_patients": 8, "left out by cohort.max_images_per_patient": 8}


def test_every_file_is_either_used_or_in_the_quarantine(dicom_tree, scans, prepare, tmp_path):
    root = dicom_tree(12)
    (root / "p000.dcm").write_bytes((root / "p000.dcm").read_bytes()[:-200])
    (root / "readme.txt").write_text("read me")
    (root / "copy.dcm").write_bytes((root / "p001.dcm").read_bytes())
    (root / "out.dcm").symlink_to(tmp_path)
    scans.dicom(root / "unlabelled.dcm", scans.texture(99))
    cohort = prepare(scans.dicom_spec(), root)
    found = {row.reason for row in cohort.quarantined}
    assert found == {
        "the pixel data are truncated or damaged", "not a scan: not a DICOM file", "a copy of an image that is read",
        "the link leads out of the folder", "the table has no row for it",
    }  # fmt: skip
    files = {path.name for path in root.iterdir()} - {"labels.csv"}
    stem = table_stem(scans.dicom_spec(), root)
    used = set(pd.read_parquet(tmp_path / "keys" / f"{stem}.sources.parquet")["path"])
    refused = set(pd.read_parquet(tmp_path / "keys" / f"{stem}.quarantine.parquet")["path"])
    assert used | refused == files
    assert not used & refused


def test_odd_names_empty_files_and_pipes_are_used_or_refused_with_a_reason(dicom_tree, scans, prepare, tmp_path):
    root = dicom_tree(20)
    spec = scans.dicom_spec(table=None, label=LabelSpec(source="none"))
    odd = [
        "new\nline.dcm",
        "tab\t'quote\".dcm",
        "\u202eright-to-left.dcm",
        "-rf.dcm",
        "a" * 250 + ".dcm",
        "名前",
        "%s{x}.dcm",
    ]
    for number, name in enumerate(odd):
        scans.dicom(root / name, scans.texture(50 + number), PatientID=f"odd-{number}")
    (root / "empty.dcm").touch()
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe.dcm")).write_bytes(b"x")
    os.mkfifo(root / "pipe.dcm")
    (root / "hollow").mkdir()
    cohort = prepare(spec, root)
    assert len(cohort.images) == 20 + len(odd)
    refused = pd.read_parquet(tmp_path / "keys" / f"{table_stem(spec, root)}.quarantine.parquet")
    assert dict(zip(refused["path"], refused["reason"], strict=True)) == {
        "empty.dcm": "not a scan: not a DICOM file", "??.dcm": "the name is not valid UTF-8",
        "pipe.dcm": "not a regular file", "labels.csv": "not a scan: not a DICOM file",
    }  # fmt: skip


def test_a_folder_that_cannot_be_listed_is_said_in_a_note(dicom_tree, scans, prepare, monkeypatch):
    root, real = dicom_tree(20), os.scandir
    (root / "closed").mkdir()

    def scandir(path="."):
        if not isinstance(path, int) and Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)  # root, as whom tests may run, may list every folder
    cohort = prepare(scans.dicom_spec(), root)
    assert "folder" in {row.field for row in cohort.quarantined}
    assert any("may lack a part of its patients" in note for note in cohort.notes)


def test_markup_in_a_header_is_kept_as_text(dicom_tree, scans, prepare):
    root = dicom_tree(20)
    scans.dicom(root / "p000.dcm", scans.texture(0), InstitutionName="<script>alert(1)</script>", PatientID="PID-0000")
    assert prepare(scans.dicom_spec(), root).records[0].site == "<script>alert(1)</script>"


def test_dates_become_days_since_the_patients_first(tmp_path, scans, prepare):
    root, rows = tmp_path / "scans", []
    for number in range(16):
        day = "20200110" if number % 2 else "20200131"
        scans.dicom(root / f"{number:02d}.dcm", scans.texture(number), PatientID=f"P{number // 2}", StudyDate=day)
        rows.append(f"{number:02d}.dcm,{number // 2 % 2}")
    (root / "labels.csv").write_text("\n".join(["file,label", *rows]))
    assert [record.date_shift_days for record in prepare(scans.dicom_spec(), root).records] == [21, 0] * 8


def _nothing(root):
    for path in root.iterdir():
        path.unlink()


def _no_scan(root):
    for path in root.glob("*.dcm"):
        path.write_text("not a scan")


def _unreadable(root):
    for path in root.glob("*.dcm"):
        path.write_bytes(path.read_bytes()[:-50])


def _table(text):
    return lambda root: (root / "labels.csv").write_text(text)


def _relabel(value):
    return lambda root: pd.read_csv(root / "labels.csv").assign(label=value).to_csv(root / "labels.csv", index=False)


def _keep(count):
    return lambda root: [path.unlink() for path in sorted(root.glob("*.dcm"))[count:]]


@pytest.mark.parametrize(
    ("damage", "changes", "message"),
    [
        (_nothing, {"table": None, "label": LabelSpec(source="none")}, "holds no files"),
        (_no_scan, {}, r"no readable scan among 21 files.*\nReasons: not a scan: not a DICOM file \(20\)"),
        (_unreadable, {}, r"none of 20 scans can be read.\nReasons: the pixel data are truncated or damaged \(20\)"),
        (_table("file,other\np000.dcm,1\n"), {}, "no label column 'label'"),
        (_table("file,label\nelsewhere.dcm,1\n"), {}, r"the table labels\.csv matches no scan"),
        (_table(""), {}, "cannot be read"),
        (_relabel(1), {}, "all 20 images have the label '1'"),
        (_relabel(""), {}, "none of 20 scans has a label"),
        (_keep(1), {"label": LabelSpec(source="none")}, "all 1 images are of one patient"),
        (_keep(6), {}, "6 patients at seen sites are too few: the splits need at least 7"),
        (_keep(11), {"split": SplitSpec(small_strata="error")}, "site 'North Hospital / Siemens Skyra' has 6 patients"),
        (_keep(20), {"split": SplitSpec(external_sites=("East",))}, "'East' is not in the cohort"),
        (_keep(20), {"slices": SliceSpec(foreground_above=1e9, min_foreground=0.1)}, "the rules for slices keep no"),
        (_keep(20), {"site_from": "HospitalName"}, "'HospitalName' is not a DICOM keyword"),
        (_keep(20), {"label": LabelSpec(source="header:Lesion"), "table": None}, "'Lesion' is not a DICOM keyword"),
        (_keep(20), {"site_from": "PatientID"}, r"cohort\.site_from: PatientID names a person"),
        (_keep(20), {"view_from": "MedicalAlerts"}, r"cohort\.view_from: MedicalAlerts names a person"),
        (_keep(20), {"view_from": "AcquisitionTime"}, r"cohort\.view_from: AcquisitionTime names a person"),
        (_keep(20), {"view_from": "ReferringPhysicianName"}, r"cohort\.view_from: ReferringPhysicianName names"),
        (_keep(20), {"label": LabelSpec(source="header:StudyDate"), "table": None}, "source: StudyDate names"),
    ],
)  # fmt: skip
def test_mistakes_end_in_three_lines_that_name_no_patient(dicom_tree, scans, prepare, damage, changes, message):
    root = dicom_tree(20)
    damage(root)
    with pytest.raises(UserError, match=message) as caught:
        prepare(scans.dicom_spec(**changes), root)
    text = str(caught.value)
    assert text.count("\n") <= 2
    assert not any(planted in text for planted in PLANTED)


def test_a_finished_preparation_leaves_pixels_and_no_chunks(dicom_tree, scans, tmp_path):
    root, workdir = dicom_tree(10), tmp_path / "work"
    arguments = (scans.dicom_spec(), root, tmp_path / "keys", workdir, Resources(workers=1), SilentProgress())
    first = prepare_cohort(*arguments)
    assert [path.name for path in workdir.iterdir()] == ["pixels.npy"]
    assert prepare_cohort(*arguments).content_id == first.content_id
    assert source_fingerprint(scans.dicom_spec(), root) == source_fingerprint(scans.dicom_spec(), root)
