"""Voxels keep their place in space whatever the order in which they are stored."""

import nibabel as nib
import numpy as np
import pytest

from synthassay.scans.orientation import described, from_stack_order, stack, stack_spacing, tilt, unstack, upright
from synthassay.scans.volumes import Volume


def tilted(degrees):
    turn = nib.eulerangles.euler2mat(x=np.radians(degrees))
    return nib.affines.from_matvec(turn @ np.diag([1.0, 2.0, 3.0]), [5, 6, 7])


@pytest.mark.parametrize("codes", ["LPS", "PSL", "SAR", "RAS", "IRA"])
def test_upright_is_what_nibabel_calls_closest_canonical(codes):
    image = nib.Nifti1Image(np.random.default_rng(0).random((4, 5, 6), np.float32), tilted(20))
    stored = image.as_reoriented(
        nib.orientations.ornt_transform(
            nib.orientations.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes)
        )
    )
    values = np.asarray(stored.dataobj, np.float32)
    turned = upright(Volume(values=values, affine=stored.affine, mask=values > 0.5))
    assert np.array_equal(turned.values, image.get_fdata(dtype=np.float32))
    assert np.allclose(turned.affine, image.affine)
    assert np.array_equal(turned.mask, turned.values > 0.5)


def test_tilt_is_stated_and_not_guessed():
    values = np.zeros((2, 2, 2), np.float32)
    assert tilt(Volume(values=values, affine=tilted(25))) == pytest.approx(25, abs=1e-4)
    assert described(Volume(values=values, affine=tilted(25)), "axial") == "axial, oblique by 25 degrees"
    assert described(Volume(values=values, affine=tilted(0.2)), "coronal") == "coronal"
    assert described(Volume(values=values, affine=tilted(0), placed=False), "axial") is None


def test_stacks_show_the_patient_from_the_side_that_radiologists_do():
    values = np.zeros((3, 4, 5), np.float32)
    values[0, 3, 4] = 1  # left, front, top
    volume = Volume(values=values, affine=tilted(0))
    for axis, where in (("axial", (4, 0, 2)), ("coronal", (3, 0, 2)), ("sagittal", (0, 0, 0))):
        shown = stack(values, axis)
        assert tuple(np.argwhere(shown)[0]) == where
        assert np.shares_memory(shown, values)
        rows, columns, slices = stack_spacing(volume, axis)
        assert from_stack_order((slices, rows, columns), axis) == pytest.approx((1, 2, 3))


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_unstacking_undoes_stacking(axis):
    values = np.arange(60).reshape(3, 4, 5)
    assert np.array_equal(unstack(stack(values, axis), axis), values)
