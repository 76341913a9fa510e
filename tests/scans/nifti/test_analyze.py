"""Analyze 7.5: pairs that nibabel wrote, in its three dialects."""

import nibabel as nib
import numpy as np
import pytest

from synthassay.scans.descriptions import ANALYZE_FIELDS
from synthassay.scans.nifti.identity import header_findings
from synthassay.scans.nifti.volume import header_path, image_path
from synthassay.scans.orientation import upright
from synthassay.scans.unreadable import Unreadable

KINDS = [nib.AnalyzeImage, nib.Spm99AnalyzeImage, nib.Spm2AnalyzeImage]
AFFINE = np.diag([-1.0, 2.0, 3.0, 1.0])


@pytest.fixture
def pair(tmp_path):
    def write(values, kind=nib.AnalyzeImage, order="<", **fields):
        image = kind(values, AFFINE, kind.header_class(endianness=order))
        image.header.set_data_dtype(values.dtype)
        for name, value in fields.items():
            image.header[name] = value
        nib.save(image, tmp_path / "a.img")
        return tmp_path / "a.hdr"

    return write


def numbers(dtype="i2", shape=(7, 5, 3)):
    return (np.random.default_rng(1).random(shape) * 200).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
def test_values_and_affine_equal_nibabels_and_nothing_says_where_left_is(pair, read, kind, order, dtype):
    path = pair(numbers(dtype), kind, order)
    volume, image = read(path), nib.load(path)
    assert np.allclose(volume.values, image.get_fdata(dtype=np.float32))
    assert np.array_equal(volume.affine, image.header.get_base_affine())
    assert np.array_equal(upright(volume).values, volume.values[::-1])
    assert volume.spacing_mm == (1, 2, 3)
    assert not volume.placed


def test_scaling_is_read_where_spm_keeps_it(pair, read):
    stored = numbers("i2")
    assert np.array_equal(read(pair(stored, nib.Spm2AnalyzeImage)).values, stored)
    path = pair(stored, nib.Spm2AnalyzeImage)
    header = bytearray(path.read_bytes())
    header[112:116] = np.float32(0.5).tobytes()
    path.write_bytes(header)
    assert np.array_equal(read(path).values, stored * np.float32(0.5))


def test_a_fourth_dimension_of_one_is_a_volume_and_a_longer_one_a_series(pair, read):
    assert read(pair(numbers(shape=(7, 5, 3, 1)))).values.shape == (7, 5, 3)
    series = numbers(shape=(7, 5, 3, 2))
    path = pair(series)
    with pytest.raises(Unreadable, match=r"cohort\.volume\.index"):
        read(path)
    assert np.array_equal(read(path, index=1).values, series[..., 1])


def test_half_a_pair_and_a_damaged_one_are_refused(pair, read):
    path = pair(numbers())
    image = path.with_suffix(".img")
    whole = image.read_bytes()
    image.write_bytes(whole[:-1])
    with pytest.raises(Unreadable, match="truncated or damaged"):
        read(path)
    image.unlink()
    with pytest.raises(Unreadable, match="not beside the header"):
        read(path)
    path.rename(path.with_suffix(".nii"))
    with pytest.raises(Unreadable, match="a file of another kind"):
        read(path.with_suffix(".nii"))


@pytest.mark.parametrize(("change", "reason"), [
    ({"dim": [4, 2000, 2000, 2000, 1, 0, 0, 0]}, r"limits\.voxels"),
    ({"dim": [3, 0, 5, 3, 1, 0, 0, 0]}, "not an image"),
    ({"datatype": 77}, "damaged"), ({"datatype": 32}, "only real numbers"), ({"vox_offset": -9000}, "damaged"),
    ({"pixdim": [0, np.nan, 1, 1, 0, 0, 0, 0]}, "space|damaged"),
])  # fmt: skip
def test_a_header_that_cannot_be_is_refused_before_anything_is_read(pair, read, change, reason):
    path = pair(numbers("i2"))
    header = nib.AnalyzeHeader(path.read_bytes()[:348], check=False)
    for name, value in change.items():
        header[name] = value
    path.write_bytes(header.binaryblock)
    with pytest.raises(Unreadable, match=reason):
        read(path)


def test_neither_sform_nor_qform_can_be_asked_for(pair, read):
    with pytest.raises(Unreadable, match="the file has no sform"):
        read(pair(numbers()), affine="sform")


def test_what_the_header_says_of_a_person_is_found(pair):
    assert not header_findings(pair(numbers()).read_bytes())
    path = pair(
        numbers(), patient_id=b"Doe4711", exp_date=b"20200110", exp_time=b"10:11", generated=b"x", scannum=b"12"
    )
    found = header_findings(path.read_bytes())
    assert {finding.attribute for finding in found} == {f"Analyze {name}" for name in ANALYZE_FIELDS}
    assert "4711" not in repr(found)


def test_the_names_of_a_pair_follow_from_one_another():
    for header, image in (("d/a.hdr", "d/a.img"), ("a.hdr.gz", "a.img.gz")):
        assert image_path(header) == image
        assert header_path(image) == header
    assert header_path("a.nii") is None
