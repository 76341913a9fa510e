"""Volumes are what nibabel says they are; what cannot be read says why."""

import gzip
import hashlib
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from synthassay.scans.limits import LimitSpec
from synthassay.scans.nifti import volume as reader
from synthassay.scans.unreadable import Unreadable

SHAPE = (7, 5, 3)
PAIRS = {"a.hdr": nib.Nifti1Pair, "a2.hdr": nib.Nifti2Pair}
SINGLE = {"a.nii": nib.Nifti1Image, "a.nii.gz": nib.Nifti1Image, "b.nii": nib.Nifti2Image, "b.nii.gz": nib.Nifti2Image}
OBLIQUE = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.3, -0.2, 0.1) @ np.diag([1.0, 2.0, 3.0]), [4, 5, 6])


def numbers(dtype, shape=SHAPE):
    top = 200 if np.dtype(dtype).kind in "iu" else 1.0
    return (np.random.default_rng(1).random(shape) * top).astype(dtype)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">i2", ">f4"])
@pytest.mark.parametrize("name", [*SINGLE, *PAIRS])
def test_values_and_affine_equal_nibabels(save, read, dtype, name):
    path = save(numbers(dtype), OBLIQUE, name, {**SINGLE, **PAIRS}[name])
    volume, image = read(path), nib.load(path)
    assert np.array_equal(volume.values, image.get_fdata(dtype=np.float32))
    assert np.array_equal(volume.affine, image.affine)
    assert volume.placed
    assert volume.values.dtype == np.float32


def test_slope_and_intercept_are_applied_in_double_precision_and_rounded_once(tmp_path, save, read):
    stored = numbers("i4", (64, 64, 5)) * 100_003
    path = save(stored, name="a.nii")
    content = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]))
    header["scl_slope"], header["scl_inter"] = 0.1, -3.7
    path.write_bytes(header.binaryblock + bytes(content[348:]))
    slope, intercept = np.float64(np.float32(0.1)), np.float64(np.float32(-3.7))
    volume = read(path)
    assert np.array_equal(volume.values, (stored * slope + intercept).astype(np.float32))
    assert np.array_equal(volume.values, nib.load(path).get_fdata().astype(np.float32))


def test_a_volume_of_a_series_is_chosen_or_averaged_and_never_guessed(save, read):
    series = numbers("i2", (*SHAPE, 4))
    path = save(series)
    with pytest.raises(Unreadable, match=r"cohort\.volume\.index") as caught:
        read(path)
    assert (caught.value.field, caught.value.found) == ("dim", "4 volumes")
    assert np.array_equal(read(path, index=2).values, series[..., 2])
    assert np.allclose(read(path, index="mean").values, series.mean(-1), rtol=1e-6)
    with pytest.raises(Unreadable, match="no volume of the number"):
        read(path, index=4)


def test_one_volume_with_a_fourth_dimension_needs_no_choice(save, read):
    assert read(save(numbers("i2", (*SHAPE, 1)))).values.shape == SHAPE
    assert read(save(numbers("i2", (7, 5)), name="flat.nii")).values.shape == (7, 5, 1)


def placed(path, sform, qform):
    image = nib.load(path)
    image.set_sform(OBLIQUE, code=sform)
    image.set_qform(np.diag([-2.0, 2, 2, 1]), code=qform)
    nib.save(image, path)
    return path


def test_the_sform_goes_before_the_qform_unless_one_is_asked_for(save, read):
    path = placed(save(numbers("i2"), name="both.nii"), 1, 1)
    assert np.allclose(read(path).affine, OBLIQUE, atol=1e-5)
    assert np.allclose(read(path, affine="qform").affine, np.diag([-2.0, 2, 2, 1]))
    only = placed(save(numbers("i2"), name="only.nii"), 0, 1)
    assert np.allclose(read(only).affine, np.diag([-2.0, 2, 2, 1]))
    with pytest.raises(Unreadable, match="the file has no sform"):
        read(only, affine="sform")


@pytest.mark.parametrize(("qform", "disputed"), [
    (np.diag([1.0, 2, 3, 1]), False), (nib.affines.from_matvec(np.diag([1.0, 2, 3]), [90, 0, 0]), False),
    (np.diag([-1.0, 2, 3, 1]), True), (np.diag([1.0, 2, 3.5, 1]), True),
])  # fmt: skip
def test_two_affines_that_differ_in_more_than_the_origin_are_known_as_such(save, read, qform, disputed):
    path = save(numbers("i2"), np.diag([1.0, 2, 3, 1]), "a.nii")
    image = nib.load(path)
    image.set_qform(qform, code=1)
    nib.save(image, path)
    assert read(path).disputed == disputed
    assert not read(path, affine="qform").disputed  # it was asked for


def test_a_qform_that_is_no_rotation_does_not_dispute_the_sform(save, read):
    path = save(numbers("i2"), np.diag([1.0, 2, 3, 1]), "a.nii")
    content = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]))
    header["qform_code"], header["quatern_b"] = 1, 5
    path.write_bytes(header.binaryblock + bytes(content[348:]))
    assert not read(path).disputed


@pytest.mark.parametrize(("unit", "millimetres"), [("mm", 1), ("unknown", 1), ("meter", 1000), ("micron", 0.001)])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_spacing_is_in_millimetres_whatever_the_unit_of_the_file(tmp_path, read, kind, unit, millimetres):
    image = kind(numbers("i2"), np.diag([1.0, 2, 3, 1]))
    image.header.set_xyzt_units(unit, "sec")
    nib.save(image, tmp_path / "a.nii")
    assert np.allclose(read(tmp_path / "a.nii").spacing_mm, np.array([1.0, 2, 3]) * millimetres)


def test_a_file_that_does_not_say_how_it_lies_is_known_as_such(save, read):
    assert not read(placed(save(numbers("i2"), name="none.nii"), 0, 0)).placed


@pytest.mark.parametrize("column", [[0, 0, 0], [1, 0, 0], [np.nan, 0, 0]])
def test_an_affine_that_places_nothing_is_refused(save, read, column):
    path = save(numbers("i2"), name="a.nii")
    content = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]))
    rows = np.eye(4)
    rows[:3, 1] = column
    header["srow_x"], header["srow_y"], header["srow_z"], header["sform_code"] = *rows[:3], 1
    path.write_bytes(header.binaryblock + bytes(content[348:]))
    with pytest.raises(Unreadable, match="does not place the voxels"):
        read(path)


def test_gzip_of_several_members_and_bytes_after_the_data_are_read(tmp_path, save, read):
    whole = save(numbers("i2"), name="a.nii").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(whole[:400]) + gzip.compress(b"") + gzip.compress(whole[400:]))
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(whole + b"more"))
    expected = numbers("i2")
    assert np.array_equal(read(tmp_path / "b.nii.gz").values, expected)
    assert np.array_equal(read(tmp_path / "c.nii.gz").values, expected)


def test_a_wrong_checksum_is_damage(tmp_path, save, read):
    content = bytearray(gzip.compress(save(numbers("i2"), name="a.nii").read_bytes()))
    content[-6] ^= 1
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(Unreadable, match="truncated or damaged"):
        read(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_file_cut_anywhere_is_refused(tmp_path, save, read, name):
    whole = save(numbers("i2"), name=name).read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(Unreadable):
            read(tmp_path / name)


def test_what_is_no_volume_of_numbers_is_refused(tmp_path, save, read):
    for values, reason in (
        (numbers("f4").astype(np.complex64), "only real numbers"),
        (numbers("f4", (*SHAPE, 1, 3)), "several values for each voxel"),
        (np.full(SHAPE, 1e300), "holds infinite values"),
    ):
        with pytest.raises(Unreadable, match=reason):
            read(save(values, name="a.nii"))
    (tmp_path / "text.nii").write_bytes(b"not a volume at all" * 40)
    with pytest.raises(Unreadable, match="not a NIfTI file"):
        read(tmp_path / "text.nii")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("fields", ["RGB", "RGBA"])
def test_colours_are_read_without_transparency(save, read, fields, name):
    values = numbers("u1", (*SHAPE, len(fields)))
    path = save(values.view([(field, "u1") for field in fields])[..., 0], name=name)
    assert np.array_equal(read(path).values, values[..., :3])
    series = np.stack([values, values // 2], axis=3)
    path = save(np.ascontiguousarray(series).view([(field, "u1") for field in fields])[..., 0], name=name)
    assert np.array_equal(read(path, index=1).values, (values // 2)[..., :3])


def test_the_two_kinds_of_header_are_not_mixed(tmp_path, save, read):
    path = save(numbers("i2"), None, "a.hdr", nib.Nifti1Pair)
    path.rename(tmp_path / "b.nii")
    with pytest.raises(Unreadable, match="a file of another kind"):
        read(tmp_path / "b.nii")
    (tmp_path / "b.nii").rename(tmp_path / "c.hdr")
    with pytest.raises(Unreadable, match="not beside the header"):
        read(tmp_path / "c.hdr")


def claimed(path, shape):
    """A small compressed file whose header claims ``shape`` and whose data are zeros."""
    header = nib.Nifti2Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.uint8)
    header["magic"], header["vox_offset"] = b"n+2\0\r\n\x1a\n", 544
    path.write_bytes(gzip.compress(header.binaryblock + b"\0" * 4 + b"\0" * (4 << 20)))
    return path


def test_a_decompression_bomb_is_not_inflated(tmp_path, read):
    path = claimed(tmp_path / "bomb.nii.gz", (1 << 10, 1 << 10, 1 << 10))
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match=r"limits\.voxels"):
            read(path)
        with pytest.raises(Unreadable, match=r"limits\.gzip_ratio"):
            read(path, voxels=1 << 31)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(Unreadable, match=r"limits\.voxels"):  # a length times a length beyond 64 bits
        read(claimed(tmp_path / "huge.nii.gz", (1 << 62, 1 << 62, 4)))


def test_a_series_is_read_volume_by_volume(tmp_path, save, read):
    path = save(np.zeros((64, 64, 16, 100), np.int16), name="series.nii.gz")
    tracemalloc.start()
    try:
        read(path, index=99)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20  # all volumes are 13 MB
    finally:
        tracemalloc.stop()


def test_the_digest_is_that_of_all_bytes(save):
    limits = LimitSpec()
    path = save(numbers("i2"), None, "a.hdr", nib.Nifti1Pair)
    both = path.read_bytes() + path.with_suffix(".img").read_bytes()
    assert reader.open_file(path, limits).sha256() == hashlib.sha256(both).hexdigest()
