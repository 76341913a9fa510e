"""Volumes on other grids keep their place, their values and their masks."""

import nibabel as nib
import numpy as np
import pytest

from synthassay.scans.limits import LimitSpec
from synthassay.scans.resampling import boxed, centre_of, regrid
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import Volume

LIMITS = LimitSpec()


def ramp(shape, affine):
    """A volume whose values are x + 2y + 3z in millimetres."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    places = nib.affines.apply_affine(affine, index)
    return Volume(values=(places @ [1.0, 2.0, 3.0]).astype(np.float32), affine=affine)


def inside(volume):
    """Without the border, where values have to be made up."""
    return volume.values[2:-2, 2:-2, 2:-2]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 3.0, 3.0), (0.7, 2.0, 4.0)])
def test_values_stay_where_they_are_in_space(spacing):
    source = ramp((30, 28, 26), np.diag([2.0, 2.0, 2.0, 1.0]))
    result = regrid(source, spacing, False, LIMITS)
    assert result.spacing_mm == pytest.approx(spacing)
    expected = ramp(result.values.shape, result.affine)
    assert np.allclose(inside(result), inside(expected), atol=0.02)


def test_a_tilted_volume_is_turned_onto_the_axes():
    turn = nib.eulerangles.euler2mat(z=0.4)
    source = ramp((24, 24, 24), nib.affines.from_matvec(turn * 2, [10, -5, 3]))
    result = regrid(source, None, True, LIMITS)
    assert np.allclose(result.affine[:3, :3], np.diag(result.spacing_mm), atol=1e-6)
    middle = tuple(slice(length // 2 - 4, length // 2 + 4) for length in result.values.shape)
    assert np.allclose(result.values[middle], ramp(result.values.shape, result.affine).values[middle], atol=0.05)
    assert result.values[0, 0, 12] == source.values.min()  # outside of the source


def test_fine_stripes_are_averaged_and_not_picked():
    stripes = np.zeros((64, 16, 16), np.float32)
    stripes[::2] = 1
    result = regrid(Volume(values=stripes, affine=np.eye(4)), (4.0, 1.0, 1.0), False, LIMITS)
    assert np.abs(inside(result) - 0.5).max() < 0.1


def test_masks_stay_masks_and_what_needs_nothing_is_the_same_volume():
    values = np.zeros((10, 10, 10), np.float32)
    mask = np.zeros(values.shape, bool)
    mask[2:6, 2:6, 2:6] = True
    volume = Volume(values=values, affine=np.eye(4), mask=mask)
    assert regrid(volume, None, False, LIMITS) is volume
    fine = regrid(volume, (0.3, 0.3, 0.3), False, LIMITS)
    assert fine.mask.dtype == bool
    assert fine.mask.sum() * 0.3**3 == pytest.approx(mask.sum(), rel=0.15)  # cubic millimetres


@pytest.mark.parametrize(("affine", "spacing", "straighten"), [
    (np.eye(4), (1e-3, 1e-3, 1e-3), False), (np.diag([1e9, 1, 1, 1]), (1.0, 1.0, 1.0), True),
])  # fmt: skip
def test_a_grid_that_would_not_fit_in_memory_is_refused(affine, spacing, straighten):
    volume = Volume(values=np.zeros((10, 10, 10), np.float32), affine=affine)
    with pytest.raises(Unreadable, match="after resampling"):
        regrid(volume, spacing, straighten, LIMITS)


def test_boxes_are_cut_around_their_centre_and_padded_where_nothing_is():
    values = np.arange(5 * 6 * 7, dtype=np.float32).reshape(5, 6, 7)
    assert np.array_equal(boxed(values, (3, 4, 5), None, -1), values[1:4, 1:5, 1:6])
    around = boxed(values, (3, 3, 9), (0, 5, 3), -1)
    expected = np.full((3, 3, 9), -1, np.float32)
    expected[1:, :2, 1:8] = values[:2, 4:]
    assert np.array_equal(around, expected)
    assert np.array_equal(boxed(values > 5, (5, 6, 7), None, 0), values > 5)


def test_the_centre_of_nothing_is_unknown():
    marked = np.zeros((4, 4, 4), bool)
    assert centre_of(marked) is None
    marked[1, 2, 3] = marked[3, 2, 1] = True
    assert centre_of(marked) == (2.0, 2.0, 2.0)
