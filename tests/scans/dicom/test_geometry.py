import numpy as np
import pytest

from synthassay.scans.dicom.geometry import affine_of, along_normal, is_orientation, normal_of, orientation_name

TURNED = (np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0, 0.0, -1.0)  # half way between coronal and sagittal


@pytest.mark.parametrize(
    ("orientation", "name"),
    [((1, 0, 0, 0, 1, 0), "axial"), ((1, 0, 0, 0, 0, -1), "coronal"), ((0, 1, 0, 0, 0, -1), "sagittal"),
     ((-1, 0, 0, 0, -1, 0), "axial"), (None, None)],
)  # fmt: skip
def test_planes_are_named_by_their_normal(orientation, name):
    assert orientation_name(orientation) == name


def test_the_normal_is_of_length_one_and_places_are_along_it():
    assert np.allclose(normal_of((1.001, 0, 0, 0, 1.001, 0)), [0, 0, 1])
    assert np.allclose(normal_of(TURNED), [-np.sqrt(0.5), np.sqrt(0.5), 0])
    assert along_normal((10.0, 20.0, 99.0), TURNED) == round(10 * np.sqrt(0.5), 3)
    assert along_normal(None, TURNED) is along_normal((0.0, 0.0, 0.0), None) is None


@pytest.mark.parametrize("values", [None, (1, 0, 0, 1, 0, 0), (0, 0, 0, 0, 0, 0), (2, 0, 0, 0, 2, 0)])
def test_six_numbers_that_are_no_two_directions_are_no_orientation(values):
    assert not is_orientation(values)


def test_the_affine_takes_columns_rows_and_slices_to_ras():
    affine = affine_of((5, 6, 7), (0, 1, 0, 0, 0, -1), (0.5, 2.0), np.array([-3.0, 0, 0.25]))
    # One column on: 2 mm to the back; one row on: 0.5 mm down; one slice on: 3 mm to the right and 0.25 mm up.
    assert np.allclose(affine @ [0, 0, 0, 1], [-5, -6, 7, 1])
    assert np.allclose(affine @ [1, 0, 0, 0], [0, -2, 0, 0])
    assert np.allclose(affine @ [0, 1, 0, 0], [0, 0, -0.5, 0])
    assert np.allclose(affine @ [0, 0, 1, 0], [3, 0, 0.25, 0])
