"""What is written beside an image: the place of a plane, and the row of a table."""

import numpy as np
import pytest

from synthassay.scans.facts import TABLE, ImageFacts, Plane, table_row

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def facts(**changes):
    required = {"namespace": "content", "source": "edm", "image": "edm-000000", "patient": "edm-000000",
                "study": "edm-000000", "number": 1, "made": "generated"}  # fmt: skip
    return ImageFacts(**required | changes)


def test_the_affine_of_an_oblique_plane_maps_pixels_as_dicom_does():
    tilt = np.deg2rad(30)
    row, column = (1.0, 0.0, 0.0), (0.0, float(np.cos(tilt)), float(np.sin(tilt)))
    plane = Plane(spacing=(2.0, 0.5), directions=(*row, *column), position=(-10.0, 20.0, 5.0), thickness=3.0)
    affine = plane.affine()
    i, j = 4, 7  # row and column; DICOM PS3.3 C.7.6.2.1.1, in LPS+
    lps = np.array(plane.position) + np.array(row) * 0.5 * j + np.array(column) * 2.0 * i
    assert affine @ [j, i, 0, 1] == pytest.approx([-lps[0], -lps[1], lps[2], 1])
    next_slice = lps + 3.0 * np.cross(row, column)
    assert affine @ [j, i, 1, 1] == pytest.approx([-next_slice[0], -next_slice[1], next_slice[2], 1])


def test_a_plane_without_a_place_has_no_affine():
    assert Plane(spacing=(1.0, 1.0)).affine() is None


@pytest.mark.parametrize(("changes", "message"), [
    ({"spacing": (0.0, 1.0)}, "above 0"),
    ({"spacing": (1.0, float("nan"))}, "above 0"),
    ({"directions": AXIAL}, "together"),
    ({"directions": (1.0, 0.0, 0.0, 1.0, 0.0, 0.0), "position": (0.0, 0.0, 0.0)}, "right angle"),
    ({"directions": (2.0, 0.0, 0.0, 0.0, 1.0, 0.0), "position": (0.0, 0.0, 0.0)}, "unit"),
])  # fmt: skip
def test_what_is_no_plane_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Plane(**{"spacing": (1.0, 1.0)} | changes)


def test_a_row_leaves_empty_what_is_unknown():
    row = table_row(facts(age=34.0, sex="F", seed=0))
    assert tuple(row) == TABLE
    assert (row["age"], row["sex"], row["seed"], row["site"]) == ("34", "F", "0", "")
