"""Masks lie on their scan by the two affines, or are refused."""

import nibabel as nib
import numpy as np
import pytest

from synthassay.scans.limits import LimitSpec
from synthassay.scans.nifti.masks import read_mask
from synthassay.scans.nifti.volume import open_file
from synthassay.scans.orientation import upright
from synthassay.scans.unreadable import Unreadable

SHAPE = (12, 10, 8)
SCAN = np.diag([2.0, 2.0, 2.0, 1.0])


@pytest.fixture
def aligned(save, read):
    """The mask ``values`` at ``affine`` on the grid of a scan of shape 12 x 10 x 8 and 2 mm."""

    def through(values, affine, scan_affine=SCAN, name="mask.nii.gz"):
        scan = upright(read(save(np.ones(SHAPE, np.float32), scan_affine, "scan.nii.gz")))
        path = save(values, affine, name)
        return read_mask(open_file(path, LimitSpec()), scan, LimitSpec())

    return through


def block():
    values = np.zeros(SHAPE, np.uint8)
    values[3:5, 4:7, 2], values[9, 9, 7] = 1, 2
    return values


def test_values_are_kept(aligned):
    assert np.array_equal(aligned(block(), SCAN), block())
    assert not aligned(np.zeros(SHAPE, np.uint8), SCAN).any()


def test_one_grid_stored_in_another_order(aligned):
    turned = nib.as_closest_canonical(nib.Nifti1Image(block(), SCAN))
    other = turned.as_reoriented(nib.orientations.axcodes2ornt(("P", "S", "L")))
    assert np.array_equal(aligned(np.asarray(other.dataobj), other.affine), block())


def test_a_part_of_the_grid_lies_where_its_affine_says(aligned):
    part, moved = block()[2:8, 3:9, 1:5], SCAN.copy()
    moved[:3, 3] = SCAN[:3, :3] @ [2, 3, 1]
    expected = np.where(block() == 1, 1, 0)
    assert np.array_equal(aligned(part, moved), expected)


def test_a_finer_mask_takes_its_nearest_voxel(aligned):
    fine = np.repeat(np.repeat(np.repeat(block(), 2, 0), 2, 1), 2, 2)
    affine = np.diag([1.0, 1, 1, 1])
    affine[:3, 3] = -0.5  # of the first fine voxel, which lies in the first coarse one
    assert np.array_equal(aligned(fine, affine), block())


@pytest.mark.parametrize(("affine", "values", "reason"), [
    (np.diag([2.0, 2, 3, 1]), block(), "one shape and lie differently"),
    (nib.affines.from_matvec(np.diag([2.0, 2, 2]), [500, 0, 0]), block()[:6], "different places"),
    (nib.affines.from_matvec(np.diag([2.0, 2, 2]), [-18, 0, 0]), block()[:10, 4:5], "outside of the scan"),
])  # fmt: skip
def test_masks_that_contradict_their_scan_are_refused(aligned, affine, values, reason):
    with pytest.raises(Unreadable, match=reason) as caught:
        aligned(values, affine)
    assert caught.value.field == "mask affine"


def test_without_a_stated_affine_only_equal_shapes_are_matched(aligned, save, tmp_path, read):
    path = save(block()[:6], SCAN, "mask.nii")
    image = nib.load(path)
    image.set_sform(SCAN, code=0)
    image.set_qform(SCAN, code=0)
    nib.save(image, tmp_path / "lost.nii")
    scan = upright(read(save(np.ones(SHAPE, np.float32), SCAN, "scan.nii")))
    with pytest.raises(Unreadable, match="do not say how they lie") as caught:
        read_mask(open_file(tmp_path / "lost.nii", LimitSpec()), scan, LimitSpec())
    assert caught.value.found == "6x10x8 against 12x10x8"


def test_what_is_wrong_with_a_mask_is_said_of_the_mask(aligned):
    with pytest.raises(Unreadable, match="the mask cannot be used") as caught:
        aligned(np.zeros((*SHAPE, 2), np.uint8), SCAN)
    assert caught.value.field == "mask dim"
