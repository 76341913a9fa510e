"""What is written beside an image: the place of a plane, and the row of a table."""

import numpy as np
import pytest

from synthassay.scans.facts import SHOWN, TABLE, Grid, ImageFacts, slice_grid, table_row
from synthassay.scans.orientation import stack, upright
from synthassay.scans.volumes import Volume

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def facts(**changes):
    required = {"namespace": "content", "source": "edm", "image": "edm-000000", "patient": "edm-000000",
                "study": "edm-000000", "series": "edm-000000", "number": 1, "made": "generated"}  # fmt: skip
    return ImageFacts(**required | changes)


def test_the_affine_of_an_oblique_plane_maps_pixels_as_dicom_does():
    tilt = np.deg2rad(30)
    row, column = (1.0, 0.0, 0.0), (0.0, float(np.cos(tilt)), float(np.sin(tilt)))
    grid = Grid(spacing=(2.0, 0.5), directions=(*row, *column), position=(-10.0, 20.0, 5.0), step=3.0)
    affine = grid.affine()
    i, j = 4, 7  # row and column; DICOM PS3.3 C.7.6.2.1.1, in LPS+
    lps = np.array(grid.position) + np.array(row) * 0.5 * j + np.array(column) * 2.0 * i
    assert affine @ [j, i, 0, 1] == pytest.approx([-lps[0], -lps[1], lps[2], 1])
    next_slice = lps + 3.0 * np.cross(row, column)
    assert affine @ [j, i, 1, 1] == pytest.approx([-next_slice[0], -next_slice[1], next_slice[2], 1])


def test_spacing_alone_has_no_affine():
    assert Grid(spacing=(1.0, 1.0)).affine() is None


@pytest.mark.parametrize("axis", SHOWN)
def test_a_stack_in_its_plane_is_read_as_it_is_shown(axis):
    shown = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)  # slices, rows, columns
    grid = Grid(spacing=(0.5, 2.0), step=3.0, axis=axis)
    affine = grid.affine()
    volume = upright(Volume(values=shown.transpose(2, 1, 0), affine=affine))
    assert np.array_equal(stack(volume.values, axis), shown)
    for index in range(4):  # each slice lies where the volume's affine says
        place = slice_grid(grid, index)
        assert place.affine()[:, [0, 1, 3]] == pytest.approx(_moved(affine, index))


def _moved(affine, index):
    """Columns, rows and origin of slice ``index``."""
    return np.stack([affine[:, 0], affine[:, 1], affine @ [0, 0, index, 1]], axis=1)


def test_slices_without_step_or_plane_lie_nowhere():
    for grid in (Grid(spacing=(1.0, 1.0), axis="axial"), Grid(spacing=(1.0, 1.0), step=1.0)):
        with pytest.raises(ValueError, match="step"):
            slice_grid(grid, 0)


@pytest.mark.parametrize(("changes", "message"), [
    ({"spacing": (0.0, 1.0)}, "above 0"),
    ({"spacing": (1.0, float("nan"))}, "above 0"),
    ({"directions": AXIAL}, "together"),
    ({"directions": (1.0, 0.0, 0.0, 1.0, 0.0, 0.0), "position": (0.0, 0.0, 0.0)}, "right angle"),
    ({"directions": (2.0, 0.0, 0.0, 0.0, 1.0, 0.0), "position": (0.0, 0.0, 0.0)}, "unit"),
])  # fmt: skip
def test_what_is_no_grid_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Grid(**{"spacing": (1.0, 1.0)} | changes)


def test_a_row_leaves_empty_what_is_unknown():
    row = table_row(facts(age=34.0, sex="F", seed=0))
    assert tuple(row) == TABLE
    assert (row["age"], row["sex"], row["seed"], row["site"]) == ("34", "F", "0", "")
