"""NIfTI files that are written: voxels, affine and facts come back."""

import gzip
import io
from typing import Any

import nibabel
import numpy as np
import pytest

from synthassay.scans.facts import Plane
from synthassay.scans.nifti.write import encode_image, encode_volume, sidecar
from tests.scans.dicom.test_write import PLACED, pictures
from tests.scans.test_facts import facts

nib: Any = nibabel


def written(content):
    return nib.Nifti1Image.from_stream(io.BytesIO(gzip.decompress(content)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_images_come_back_equal(dtype):
    pixels = pictures(1, dtype)
    image = written(encode_image(pixels, facts()))
    assert image.get_data_dtype() == dtype
    assert np.array_equal(np.asarray(image.dataobj)[:, :, 0].T, pixels[0])


def test_colour_comes_back_equal():
    pixels = pictures(3, np.uint8)
    voxels = np.asarray(written(encode_image(pixels, facts())).dataobj)[:, :, 0]
    assert np.array_equal(np.stack([voxels[name].T for name in "RGB"]), pixels)
    deep = pictures(3, np.uint16)
    image = written(encode_image(deep, facts()))
    assert image.header.get_intent()[0] == "vector"
    assert np.array_equal(np.asarray(image.dataobj)[:, :, 0, 0].transpose(2, 1, 0), deep)


def test_a_known_place_is_the_affine():
    image = written(encode_image(pictures(1, np.uint8), facts(plane=PLACED)))
    assert image.affine == pytest.approx(PLACED.affine(), rel=1e-6)  # NIfTI-1 keeps single precision
    assert (int(image.header["sform_code"]), image.header.get_xyzt_units()[0]) == (1, "mm")
    assert image.header.get_zooms() == pytest.approx((1.3, 0.7, 5.0))


def test_spacing_without_a_place_and_neither():
    spaced = written(encode_image(pictures(1, np.uint8), facts(plane=Plane(spacing=(0.5, 2.0)))))
    assert np.diag(spaced.affine) == pytest.approx([-2.0, -0.5, 1.0, 1.0])
    assert (int(spaced.header["sform_code"]), spaced.header.get_xyzt_units()[0]) == (2, "mm")
    neither = written(encode_image(pictures(1, np.uint8), facts()))
    assert neither.header.get_xyzt_units()[0] == "unknown"
    assert nib.aff2axcodes(neither.affine) == ("L", "P", "S")  # columns to the left, rows to the back: as it is shown


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
    found = sidecar(facts(label="lesion", seed=3, site="a", plane=Plane(spacing=(1.0, 1.0))))
    assert found["SyntheticData"] == "YES"
    assert (found["Label"], found["Seed"], found["InstitutionName"]) == ("lesion", 3, "a")
    assert (found["SpacingKnown"], found["PlaceKnown"]) == (True, False)
    assert "PatientAge" not in found
    assert "SyntheticData" not in sidecar(facts(made="scanned"))
