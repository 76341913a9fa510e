"""NIfTI files that are written: voxels, affine and facts come back."""

import gzip
import io
from typing import Any

import nibabel
import numpy as np
import pytest

from synthassay.scans.facts import SHOWN, Grid
from synthassay.scans.limits import LimitSpec
from synthassay.scans.nifti.volume import NiftiFile, read_volume
from synthassay.scans.nifti.write import encode_image, encode_volume, sidecar
from synthassay.scans.orientation import stack, stack_spacing, upright
from tests.scans.dicom.test_write import PLACED, pictures
from tests.scans.test_facts import facts

nib: Any = nibabel


def written(content):
    return nib.Nifti1Image.from_stream(io.BytesIO(gzip.decompress(content)))


SAGITTAL = Grid(spacing=(0.5, 2.0), step=3.0, axis="sagittal")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("grid", "rows"), [(SAGITTAL, 1), (None, -1)])
def test_grey_images_come_back_equal(dtype, grid, rows):
    pixels = pictures(1, dtype)
    image = written(encode_image(pixels, facts(grid=grid)))
    assert image.get_data_dtype() == dtype
    assert np.array_equal(np.asarray(image.dataobj)[:, ::rows, 0].T, pixels[0])


def test_colour_comes_back_equal():
    pixels = pictures(3, np.uint8)
    voxels = np.asarray(written(encode_image(pixels, facts(grid=SAGITTAL))).dataobj)[:, :, 0]
    assert np.array_equal(np.stack([voxels[name].T for name in "RGB"]), pixels)
    deep = pictures(3, np.uint16)
    image = written(encode_image(deep, facts(grid=SAGITTAL)))
    assert image.header.get_intent()[0] == "vector"
    assert np.array_equal(np.asarray(image.dataobj)[:, :, 0, 0].transpose(2, 1, 0), deep)


@pytest.mark.parametrize("axis", SHOWN)
def test_a_volume_is_read_as_it_is_shown(axis):
    shown = np.random.default_rng(0).integers(0, 256, (1, 4, 5, 6)).astype(np.uint8)
    content = encode_image(shown, facts(grid=Grid(spacing=(0.5, 2.0), step=3.0, axis=axis)))
    volume = read_volume(NiftiFile(content), LimitSpec())
    assert volume.placed
    assert np.array_equal(stack(upright(volume).values, axis), shown[0])
    assert stack_spacing(upright(volume), axis) == pytest.approx((0.5, 2.0, 3.0))


def test_an_image_that_lies_nowhere_is_read_as_it_is_shown():
    shown = np.random.default_rng(0).integers(0, 256, (1, 4, 5)).astype(np.uint8)
    volume = read_volume(NiftiFile(encode_image(shown, facts())), LimitSpec())
    assert not volume.placed
    assert np.array_equal(stack(upright(volume).values, "axial")[0], shown[0])


def test_a_known_place_is_the_affine():
    image = written(encode_image(pictures(1, np.uint8), facts(grid=PLACED)))
    assert image.affine == pytest.approx(PLACED.affine(), rel=1e-6)  # NIfTI-1 keeps single precision
    assert (int(image.header["sform_code"]), image.header.get_xyzt_units()[0]) == (1, "mm")
    assert image.header.get_zooms() == pytest.approx((1.3, 0.7, 5.0))


def test_the_codes_say_what_is_known():
    found = {}
    for name, grid in (("spacing", Grid(spacing=(0.5, 2.0))), ("plane", SAGITTAL), ("nothing", None)):
        header = written(encode_image(pictures(1, np.uint8), facts(grid=grid))).header
        codes = int(header["sform_code"]), int(header["qform_code"])
        found[name] = codes, header.get_xyzt_units()[0], tuple(map(float, header.get_zooms()))
    assert found == {
        "spacing": ((0, 0), "mm", (2.0, 0.5, 1.0)),
        "plane": ((2, 2), "mm", (2.0, 0.5, 3.0)),
        "nothing": ((0, 0), "unknown", (1.0, 1.0, 1.0)),
    }


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_volumes_come_back_equal_with_an_oblique_affine(dtype):
    random = np.random.default_rng(0)
    voxels = (1000 * random.random((4, 5, 6))).astype(dtype)
    turn = np.linalg.qr(random.standard_normal((3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * [0.7, 0.8, 3.0], [-90.0, 100.5, 7.0]
    image = written(encode_volume(voxels, affine))
    assert np.array_equal(np.asarray(image.dataobj), voxels)
    assert image.affine == pytest.approx(affine, rel=1e-5, abs=1e-5)


def test_equal_images_give_equal_bytes():
    pixels = pictures(1, np.uint8)
    assert encode_image(pixels, facts()) == encode_image(pixels, facts())


def test_the_sidecar_says_what_is_known_and_marks_what_is_synthetic():
    found = sidecar(facts(label="lesion", seed=3, site="a", grid=Grid(spacing=(1.0, 1.0))))
    assert found["SyntheticData"] == "YES"
    assert (found["Label"], found["Seed"], found["InstitutionName"]) == ("lesion", 3, "a")
    assert (found["SpacingKnown"], found["PlaneKnown"], found["PositionKnown"]) == (True, False, False)
    assert "PatientAge" not in found
    assert "SyntheticData" not in sidecar(facts(made="scanned"))
