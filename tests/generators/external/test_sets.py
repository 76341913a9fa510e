"""External sets: every format comes in at its right values, and every bad input ends in words."""

import os
from dataclasses import replace

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydantic import ValidationError

from synthassay.errors import UserError
from synthassay.generators.external.sets import external_fingerprint
from synthassay.generators.external.specs import ExternalColumns, ExternalSpec
from synthassay.scans.limits import LimitSpec
from tests.generators.external.made_up import (
    POLICY,
    TABLE,
    like,
    load,
    picture,
    refused,
    windowed,
    write_dicom,
    write_pictures,
)

# What comes in


def test_a_label_where_the_cohort_has_none_is_an_error_and_not_a_class(tmp_path):
    write_pictures(tmp_path, 1)
    unlabelled = replace(like(), labels=np.array([-1, -1]), label_names=("unlabelled",))
    (tmp_path / "labels.csv").write_text("path,label\nim0.png,0\n")
    with pytest.raises(UserError, match=r"has the label '0', and the cohort has no labels\.[\s\S]*columns\.label=null"):
        load(tmp_path, TABLE, unlabelled)
    (tmp_path / "labels.csv").write_text("path,label\nim0.png,\n")
    assert load(tmp_path, TABLE, unlabelled)[0].labels.tolist() == [-1]


def test_pictures_of_8_bits_come_in_unchanged_in_the_order_of_their_paths(tmp_path):
    write_pictures(tmp_path, 3)
    (tmp_path / "deeper").mkdir()
    Image.fromarray(picture(9)).save(tmp_path / "deeper" / "a.tif")
    images, quarantined = load(tmp_path)
    np.testing.assert_array_equal(images.pixels[:, 0], [picture(9), *(picture(i) for i in range(3))])
    assert quarantined == ()
    assert (images.origin, images.split, images.name) == ("external", None, "external")
    assert images.labels.tolist() == [-1] * 4
    np.testing.assert_array_equal(images.patients, images.ids)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(("dtype", "expected"), [(np.uint16, lambda p: p), (np.uint8, lambda p: np.rint(p / 257))])
def test_pictures_of_16_bits_keep_their_full_range(tmp_path, suffix, dtype, expected):
    pixels = picture(dtype=np.uint16)
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
    images, _ = load(tmp_path, shape=like(dtype=dtype))
    np.testing.assert_array_equal(images.pixels[0, 0], expected(pixels))


def test_an_8_bit_picture_fills_16_bits(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    images, _ = load(tmp_path, shape=like(dtype=np.uint16))
    np.testing.assert_array_equal(images.pixels[0, 0], picture().astype(np.uint16) * 257)


def test_jpeg_is_decoded(tmp_path):
    Image.fromarray(np.full((8, 8), 77, np.uint8)).save(tmp_path / "a.jpg")
    assert (load(tmp_path)[0].pixels == 77).all()


def test_every_page_of_a_tiff_is_an_image_of_one_unit(tmp_path):
    pages = [Image.fromarray(picture(i)) for i in range(3)]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    images, _ = load(tmp_path)
    np.testing.assert_array_equal(images.pixels[:, 0], [picture(i) for i in range(3)])
    assert set(images.patients) == {"external-000000"}


def test_colour_pictures_stay_in_rgb_order(tmp_path):
    pixels = picture(size=(8, 8, 3))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    images, _ = load(tmp_path, shape=like(3))
    np.testing.assert_array_equal(images.pixels[0], np.moveaxis(pixels, -1, 0))


def test_dicom_values_pass_the_window_after_rescaling(tmp_path):
    stored = picture(dtype=np.uint8).astype(np.uint16)
    write_dicom(tmp_path / "a", stored)  # found without a suffix, by its prefix
    np.testing.assert_array_equal(load(tmp_path)[0].pixels[0, 0], windowed(stored * 2.0 - 50))


def test_monochrome1_is_inverted(tmp_path):
    stored = picture(dtype=np.uint8)
    write_dicom(tmp_path / "a.dcm", stored, "MONOCHROME1", slope=1, intercept=0, bits=8)
    np.testing.assert_array_equal(load(tmp_path)[0].pixels[0, 0], windowed(255.0 - stored))


def test_windows_of_headers_and_units_follow_the_cohorts_policy(tmp_path):
    stored = picture(dtype=np.uint8).astype(np.uint16)
    write_dicom(tmp_path / "a.dcm", stored)
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    as_stored = load(tmp_path, policy=POLICY | {"source_units": "stored"})[0]
    np.testing.assert_array_equal(as_stored.pixels[0, 0], windowed(stored))
    dataset.WindowCenter, dataset.WindowWidth = "100.5", "201"  # of rescaled values: 0 to 200
    dataset.save_as(tmp_path / "a.dcm")
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 2), np.float32), np.eye(4)), tmp_path / "b.nii")
    images, (row,) = load(tmp_path, policy=POLICY | {"mode": "header", "low": 0.0, "high": 1.0})
    expected = np.rint(np.clip((stored * 2.0 - 50) / 200, 0, 1) * 255)
    np.testing.assert_array_equal(images.pixels[0, 0], expected)
    assert (row.path, row.field) == ("b.nii", "window")


def test_colour_dicom_is_read_as_rgb(tmp_path):
    stored = picture(size=(8, 8, 3))
    write_dicom(tmp_path / "a.dcm", stored, "RGB", slope=1, intercept=0, bits=8)
    images, _ = load(tmp_path, shape=like(3), policy=POLICY | {"low": 0.0, "high": 255.0})
    np.testing.assert_array_equal(images.pixels[0], np.moveaxis(stored, -1, 0))


def test_frames_of_an_enhanced_file_are_rescaled_each_by_its_own_group(tmp_path):
    stored = picture(dtype=np.uint8).astype(np.uint16)
    write_dicom(tmp_path / "a.dcm", stored)
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.NumberOfFrames, dataset.PixelData = 2, stored.tobytes() * 2
    groups = []
    for slope in (1, 3):
        transform, group = pydicom.Dataset(), pydicom.Dataset()
        transform.RescaleSlope, transform.RescaleIntercept, transform.RescaleType = slope, -20, "US"
        group.PixelValueTransformationSequence = [transform]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.save_as(tmp_path / "a.dcm")
    images, _ = load(tmp_path)
    np.testing.assert_array_equal(images.pixels[:, 0], [windowed(stored * slope - 20.0) for slope in (1, 3)])
    assert set(images.patients) == {"external-000000"}


def test_nifti_slices_stand_as_radiologists_read_them_whatever_the_storage_order(tmp_path):
    volume = np.random.default_rng(0).uniform(50, 350, (8, 8, 4)).astype(np.float32)  # x, y, z in RAS
    nib.save(nib.Nifti1Image(volume[::-1], np.diag([-1.0, 1, 1, 1])), tmp_path / "las.nii.gz")
    nib.save(nib.Nifti1Image(volume, np.eye(4)), tmp_path / "ras.nii")
    images, _ = load(tmp_path)
    assert len(images) == 8
    np.testing.assert_array_equal(images.pixels[:4], images.pixels[4:])
    np.testing.assert_array_equal(images.pixels[1, 0], windowed(volume[:, :, 1].T[::-1, ::-1]))
    assert images.patients.tolist() == ["external-000000"] * 4 + ["external-000004"] * 4


def test_nifti_axis_and_step(tmp_path):
    volume = np.random.default_rng(0).uniform(50, 350, (8, 5, 8)).astype(np.float32)
    nib.save(nib.Nifti1Image(volume, np.eye(4)), tmp_path / "a.nii")
    images, _ = load(tmp_path, ExternalSpec(axis="coronal", every_n=2))
    assert len(images) == 3
    np.testing.assert_array_equal(images.pixels[1, 0], windowed(volume[:, 2].T[::-1, ::-1]))


def test_scan_windows_are_those_of_the_file(tmp_path):
    volume = np.linspace(0, 7, 8 * 8 * 2, dtype=np.float32).reshape(8, 8, 2)
    nib.save(nib.Nifti1Image(volume * 1000, np.eye(4)), tmp_path / "a.nii")
    policy = {"mode": "scan", "low": 0.0, "high": 1.0, "percentiles": [0, 100], "fit": "crop"}
    pixels = load(tmp_path, policy=policy)[0].pixels
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_a_limit_draws_from_the_whole_folder(tmp_path):
    for i in range(30):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / f"im{i:02d}.png")
    images, _ = load(tmp_path, ExternalSpec(images=10))
    drawn = images.pixels[:, 0, 0, 0].tolist()
    assert len(set(drawn)) == 10
    assert drawn == sorted(drawn)
    assert max(drawn) > 15
    assert load(tmp_path, ExternalSpec(images=10))[0].content_id == images.content_id


# Size and channels


def test_another_size_is_refused_with_the_setting_that_resamples(tmp_path):
    Image.fromarray(picture(size=(16, 12))).save(tmp_path / "a.png")
    with pytest.raises(UserError) as error:
        load(tmp_path)
    assert "a.png: found 1 × 16 × 12" in str(error.value)
    assert "expected 1 × 8 × 8" in str(error.value)
    assert "generator.resize=true" in str(error.value)


def test_another_channel_count_is_refused_with_the_setting_that_matches(tmp_path):
    Image.fromarray(picture(size=(8, 8, 3))).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"found 3 × 8 × 8[\s\S]*expected 1 × 8 × 8[\s\S]*generator\.channels=match"):
        load(tmp_path)


def test_resize_crops_and_averages_as_the_cohort_does(tmp_path):
    pixels = np.zeros((16, 24), np.uint8)
    pixels[:, 4:20] = np.kron(picture(), np.ones((2, 2), np.uint8))
    pixels[:, :4] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    images, _ = load(tmp_path, ExternalSpec(resize=True))
    reference = Image.fromarray(pixels[:, 4:20].astype(np.float32) / 255).resize((8, 8), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(images.pixels[0, 0], np.rint(np.asarray(reference, np.float64) * 255))


def test_resize_can_pad_and_stretch(tmp_path):
    Image.fromarray(np.full((8, 16), 200, np.uint8)).save(tmp_path / "a.png")
    padded = load(tmp_path, ExternalSpec(resize=True), policy=POLICY | {"fit": "pad"})[0].pixels[0, 0]
    assert (padded[0] == 0).all()
    assert (padded[4] == 200).all()
    stretched = load(tmp_path, ExternalSpec(resize=True), policy=POLICY | {"fit": "stretch"})[0].pixels
    assert (stretched == 200).all()


def test_match_turns_grey_into_rgb_and_back_but_never_drops_colour(tmp_path):
    match = ExternalSpec(channels="match")
    Image.fromarray(np.repeat(picture()[..., None], 3, axis=2)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load(tmp_path, match)[0].pixels[0, 0], picture())
    Image.fromarray(picture()).save(tmp_path / "a.png")
    assert load(tmp_path, match, like(3))[0].pixels.shape == (1, 3, 8, 8)
    Image.fromarray(picture(size=(8, 8, 3))).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="colour image"):
        load(tmp_path, match)


# Tables


def test_labels_by_name_or_index_with_site_and_device(tmp_path):
    write_pictures(tmp_path, 5)
    rows = ["im0.png,lesion,A", "./im1.png,No Finding,B", "im2.png,1,", "im3.png,0.0,B", "im4.png,,B"]
    (tmp_path / "labels.csv").write_text("file,dx,hospital\n" + "\n".join(rows), encoding="utf-8-sig")
    columns = ExternalColumns(path="file", label="dx", site="hospital")
    images, quarantined = load(tmp_path, ExternalSpec(table="labels.csv", columns=columns))
    assert images.labels.tolist() == [1, 0, 1, 0, -1]
    assert images.groups["site"].tolist() == ["A", "B", "", "B", "B"]
    assert set(images.groups["device"]) == {""}
    assert quarantined == ()


def test_files_and_rows_without_a_partner_are_quarantined(tmp_path):
    write_pictures(tmp_path, 2)
    (tmp_path / "labels.csv").write_text("path,label\nim0.png,0\nim7.png,1\n")
    images, quarantined = load(tmp_path, TABLE)
    assert len(images) == 1
    assert [(row.path, row.reason) for row in quarantined] == [
        ("im1.png", "not listed in the table"), ("im7.png", "listed in the table, not found"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,label\nim0.png,tumour\n", r"'tumour'[\s\S]*'no finding' \(0\), 'lesion' \(1\)"),
        ("path,label\nim0.png,2\n", r"label '2'"),
        ("path,label\nim0.png,-1\n", r"label '-1'"),
        ("file,label\nim0.png,0\n", r"no column 'path' \(it has: file, label\)[\s\S]*generator\.columns\.path"),
        ("path,dx\nim0.png,0\n", r"no column 'label'[\s\S]*generator\.columns\.label=null"),
        ("path,label\nim0.png,0\nim0.png,1\n", "lists im0.png twice"),
        ("path,label\n../secret.png,0\n", r"leads out of generator\.root"),
        ("path,label\n/etc/passwd,0\n", r"leads out of generator\.root"),
        ("path,label\n..\\secret.png,0\n", r"leads out of generator\.root"),
        ("", "not a table with a header"),
        ("path,label\na,b,c,d\n\"", "not a table with a header"),
    ],
)  # fmt: skip
def test_a_wrong_table_ends_in_words(tmp_path, content, message):
    write_pictures(tmp_path, 1)
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path, TABLE)
    assert len(str(error.value).splitlines()) <= 3


def test_a_missing_or_binary_table_ends_in_words(tmp_path):
    write_pictures(tmp_path, 1)
    with pytest.raises(UserError, match="is not a file"):
        load(tmp_path, TABLE)
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UserError, match="UTF-8"):
        load(tmp_path, TABLE)


# Files that are not used


def test_damaged_files_are_quarantined(tmp_path):
    write_pictures(tmp_path, 1)
    whole = (tmp_path / "im0.png").read_bytes()
    bad = {"cut.png": whole[:60], "empty.png": b"", "text.png": b"hello", "cut.nii": b"\0" * 400,
           "cut.nii.gz": b"\x1f\x8b\0", "cut.dcm": b"\0" * 128 + b"DICM" + b"\1" * 20, "notes.json": b"{}"}  # fmt: skip
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    images, quarantined = load(tmp_path)
    assert len(images) == 1
    assert [row.path for row in quarantined] == sorted(bad)
    assert all(row.reason and row.found for row in quarantined)


def test_nan_in_a_volume_is_quarantined(tmp_path):
    write_pictures(tmp_path, 1)
    volume = np.full((8, 8, 2), 200, np.float32)
    volume[1, 1, 1] = np.nan
    nib.save(nib.Nifti1Image(volume, np.eye(4)), tmp_path / "a.nii")
    assert refused(tmp_path).found == "1 of 128 are NaN"
    images, quarantined = load(tmp_path, policy=POLICY | {"not_a_number": "background"})
    assert (len(images), quarantined) == (3, ())


@pytest.mark.parametrize("name", ["z.png", "z.nii.gz", "z.dcm"])
def test_more_values_than_allowed_are_not_decoded(tmp_path, name):
    write_pictures(tmp_path, 1)
    if name == "z.png":
        Image.new("L", (64, 64)).save(tmp_path / name)
    elif name == "z.dcm":
        write_dicom(tmp_path / name, np.zeros((64, 64), np.uint16))
    else:
        nib.save(nib.Nifti1Image(np.zeros((16, 16, 16), np.float32), np.eye(4)), tmp_path / name)
    assert refused(tmp_path, limits=LimitSpec(voxels=1000)).found == "4096 values"


def test_32_bit_pictures_have_no_range(tmp_path):
    write_pictures(tmp_path, 1)
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "z.tif")
    assert "32-bit" in refused(tmp_path).found


def test_an_empty_folder_and_one_without_images_end_in_words(tmp_path):
    with pytest.raises(UserError, match="is empty"):
        load(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match=r"no readable image among 1 files[\s\S]*not a PNG"):
        load(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        load(tmp_path / "absent")


# Keys


def test_the_key_holds_no_place_but_every_setting_that_counts():
    spec = ExternalSpec(root="/data/set", trained_on="/data/ids.txt", table="/data/labels.csv")
    text = str(spec.to_key())
    assert "/data" not in text
    assert spec.to_key() == ExternalSpec(root="/elsewhere", table="/mnt/labels.csv").to_key()
    assert ExternalSpec(resize=True).to_key() != ExternalSpec().to_key()
    with pytest.raises(ValidationError):
        ExternalSpec(name="../x")


def test_the_fingerprint_follows_the_files_and_not_their_place(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(picture()).save(tmp_path / folder / "x.png")
        os.utime(tmp_path / folder / "x.png", (1, 1))
    first = external_fingerprint(ExternalSpec(), tmp_path / "a")
    assert first == external_fingerprint(ExternalSpec(), tmp_path / "b")
    os.utime(tmp_path / "a" / "x.png", (2, 2))
    assert first != external_fingerprint(ExternalSpec(), tmp_path / "a")
