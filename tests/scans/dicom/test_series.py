"""Stacks of made-up series. Positions and directions are LPS+ mm; affines are checked against cases done by hand."""

from dataclasses import replace

import numpy as np
import pytest

from synthassay.scans.dicom.series import Slice, split_series
from synthassay.scans.dicom.slices import TELLING, SliceFacts

AXIAL = (1.0, 0, 0, 0, 1, 0)
SAGITTAL = (0.0, 1, 0, 0, 0, -1)
NORMAL = (0.0, 0, 1)


def one(number, position, orientation=AXIAL, **changes):
    settings = {
        "frame": 0, "rows": 4, "columns": 6, "position": position, "orientation": orientation, "spacing": (0.5, 0.8),
        "between": 2.0, "kind": ("ORIGINAL", "PRIMARY"), "echo": (None, None), "b_value": None, "time": None,
        "stack": "", "order": (1.0, float(number), 0.0),
    }  # fmt: skip
    return Slice(path=f"{number:03d}", facts=SliceFacts(**{**settings, **changes}))


def row(count=5, step=(0.0, 0, 2), start=(10.0, 20, 30), first=0, **changes):
    """``count`` slices from ``start`` on, each ``step`` further."""
    return [one(first + i, tuple(np.asarray(start) + i * np.asarray(step)), **changes) for i in range(count)]


def names(stack):
    return [slice_.path for slice_ in stack.slices]


def test_slices_are_sorted_along_the_normal_whatever_their_names_and_z():
    slices = row(4, step=(-3.0, 0, 1), orientation=SAGITTAL)  # z rises with -x; the normal of this plane is -x
    (stack,) = split_series(slices[::-1])
    assert names(stack) == ["000", "001", "002", "003"]
    (stack,) = split_series(row(4, step=(3.0, 0, 1), orientation=SAGITTAL))
    assert names(stack) == ["003", "002", "001", "000"]


def test_the_affine_of_an_axial_stack():
    (stack,) = split_series(row())
    assert stack.problem is None
    expected = [[-0.8, 0, 0, -10], [0, -0.5, 0, -20], [0, 0, 2, 30], [0, 0, 0, 1]]
    assert np.allclose(stack.affine, expected)
    assert np.allclose(stack.spacing_mm, (0.5, 0.8, 2))
    assert (stack.apart, stack.tilt_degrees) == ((), 0.0)


def test_the_affine_of_an_oblique_stack():
    # Turned by 30 degrees about x: column direction (0, cos, sin), normal (0, -sin, cos).
    cos, sin = np.sqrt(3) / 2, 0.5
    (stack,) = split_series(row(step=(0, -2 * sin, 2 * cos), orientation=(1.0, 0, 0, 0, cos, sin)))
    expected = [[-0.8, 0, 0, -10], [0, -0.5 * cos, 2 * sin, -20], [0, 0.5 * sin, 2 * cos, 30], [0, 0, 0, 1]]
    assert np.allclose(stack.affine, expected)
    assert stack.tilt_degrees == 0.0
    assert np.allclose(stack.affine @ [5, 3, 4, 1], [-14, -20 - 1.5 * cos + 8 * sin, 30 + 1.5 * sin + 8 * cos, 1])


def test_a_tilted_gantry_shears_the_affine_and_is_stated():
    # The table moves along z by 5 mm; the plane is turned by 20 degrees about x, as CT of the head is.
    angle = np.radians(20)
    plane = (1.0, 0, 0, 0, float(np.cos(angle)), float(np.sin(angle)))
    (stack,) = split_series(row(step=(0, 0, 5.0), orientation=plane))
    assert stack.problem is None
    assert stack.tilt_degrees == pytest.approx(20)
    assert np.allclose(stack.affine[:, 2], [0, 0, 5, 0])
    assert np.allclose(stack.affine[:3, 1], [0, -0.5 * np.cos(angle), 0.5 * np.sin(angle)])


@pytest.mark.parametrize(
    ("aspect", "changes"),
    [
        ("echo", {"echo": (2.0, 80.0)}), ("b-value", {"b_value": 1000.0}), ("time", {"time": 2}),
        ("image type", {"kind": ("DERIVED", "PRIMARY")}), ("size", {"rows": 8}), ("spacing", {"spacing": (1.0, 1.0)}),
        ("stack", {"stack": "2"}), ("orientation", {"orientation": (0.0, 1, 0, -1, 0, 0)}),
    ],
)  # fmt: skip
def test_slices_that_differ_in_something_are_put_apart_and_it_is_named(aspect, changes):
    stacks = split_series([*row(), *row(first=5, **changes)])
    assert [names(stack) for stack in stacks] == [[f"{i:03d}" for i in range(5)], [f"{i:03d}" for i in range(5, 10)]]
    assert {stack.apart for stack in stacks} == {(aspect,)}
    assert all(stack.problem is None for stack in stacks)


def test_repeats_of_every_place_become_stacks_in_the_order_of_their_numbers():
    slices = [one(10 * place + time, (0.0, 0, 2.0 * place)) for time in range(3) for place in range(4)]
    stacks = split_series(slices)
    assert [names(stack) for stack in stacks] == [["000", "010", "020", "030"], ["001", "011", "021", "031"],
                                                  ["002", "012", "022", "032"]]  # fmt: skip
    assert {stack.apart for stack in stacks} == {("repeat",)}


def test_acquisitions_tell_repeats_apart_even_where_one_is_shorter():
    second = [one(9 - i, (0.0, 0, 2.0 * i), order=(2.0, float(9 - i), 0.0)) for i in range(3)]
    stacks = split_series([*row(5, start=(0.0, 0, 0)), *second])
    assert sorted(len(stack.slices) for stack in stacks) == [3, 5]
    assert {stack.apart for stack in stacks} == {("acquisition",)}


def problem(slices):
    (stack,) = split_series(slices)
    assert stack.affine is None
    assert len(stack.slices) == len(slices)
    return stack.problem.field, stack.problem.found, stack.problem.reason


def test_what_is_no_volume_is_told_with_a_reason():
    slices = row(8)
    assert problem([*slices[:3], *slices[5:]])[1:] == ("2 slices missing in 1 gaps", "it has gaps")
    assert problem([*slices, one(9, (10.0, 20, 30))])[1] == "1 places with several images"
    uneven = [one(i, (0.0, 0, z)) for i, z in enumerate((0, 2, 4, 6.9, 9))]
    assert "uneven" in problem(uneven)[2]
    shifted = [one(i, (x, 0.0, 2.0 * i)) for i, x in enumerate((0.0, 0, 3, 0, 0))]
    assert "shifted" in problem(shifted)[2]
    assert problem(row(1))[2] == "a single slice is no volume"
    assert problem(row(4, is_localiser=True))[1] == "LOCALIZER"
    assert problem([one(i, None) for i in range(3)])[0] == "ImagePositionPatient"
    assert problem([one(i, (0.0, 0, i), orientation=None) for i in range(3)])[2].endswith("is not written")
    assert problem(row(3, spacing=None))[0] == "PixelSpacing"


def test_positions_that_are_rounded_are_no_uneven_distances():
    slices = [one(i, (0.0, 0, round(0.625 * i, 1))) for i in range(40)]
    (stack,) = split_series(slices)
    assert stack.problem is None
    assert stack.spacing_mm[2] == pytest.approx(0.625, abs=0.002)


def test_no_series_has_no_stack():
    assert split_series([]) == []


def cine(numbers, **values):
    """Three times at each of four places; ``numbers`` of instances in the order place by place."""
    return [one(number, (0.0, 0, 2.0 * (index // 3)), **{name: of(index % 3) for name, of in values.items()})
            for index, number in enumerate(numbers)]  # fmt: skip


@pytest.mark.parametrize("column", [0, 5])
def test_what_the_header_says_of_repeats_counts_more_than_their_numbers(column):
    scrambled = np.random.default_rng(0).permutation(12).tolist()
    name = TELLING[column][0]
    slices = cine(scrambled, telling=lambda time: ("",) * column + (f"{time}",) + ("",) * (len(TELLING) - column - 1))
    stacks = split_series(slices)
    assert {stack.apart for stack in stacks} == {(name,)}
    assert all(stack.problem is None and len({one.facts.telling for one in stack.slices}) == 1 for stack in stacks)
    both = [
        *slices,
        *(replace(one, path=f"b{one.path}", facts=replace(one.facts, order=(2.0, 0.0, 0.0))) for one in slices),
    ]
    stacks = split_series(both)
    assert [(stack.apart, len(stack.slices)) for stack in stacks] == [((name, "acquisition"), 4)] * 6


def test_repeats_that_nothing_tells_apart_are_not_sorted_by_guess():
    scrambled = np.random.default_rng(0).permutation(12).tolist()
    assert problem(cine(scrambled))[1:] == (
        "4 places with several images", "several images at some places, and nothing says which of them belong together"
    )  # fmt: skip


def test_numbers_may_run_through_places_in_nested_loops():
    # Two times, at each all places, at each two directions: the first of a place is of the first time.
    slices = [one(8 * time + 2 * place + direction, (0.0, 0, 2.0 * place), echo=(None, None))
              for time in range(2) for place in range(4) for direction in range(2)]  # fmt: skip
    assert [names(stack) for stack in split_series(slices)] == [
        [f"{first + 2 * place:03d}" for place in range(4)] for first in (0, 1, 8, 9)
    ]


def test_an_acquisition_of_each_slice_tells_no_repeats_apart():
    slices = [one(number, (0.0, 0, 2.0 * (number % 4)), order=(float(number), 0.0, 0.0)) for number in range(8)]
    assert [names(stack) for stack in split_series(slices)] == [["000", "001", "002", "003"],
                                                                ["004", "005", "006", "007"]]  # fmt: skip
