from collections import Counter
from dataclasses import replace

import pytest

from synthassay.cohorts.selection import select, with_places
from synthassay.cohorts.sources import Image, Plane, Source
from synthassay.cohorts.specs import SliceSpec


def volume(name: str, slices: int, patient: str = "p", **changes) -> list[Image]:
    source = Source(path=name, patient=patient, study="s", series=name)
    return [
        Image(source=source, sha256="", chunk=0, row=i, plane=Plane(
            **{"frame": i, "slice_index": i, "slice_position": 0.0, "foreground": i / slices, "digest": ""} | changes))
        for i in range(slices)
    ]  # fmt: skip


def kept(images, spec):
    return [image.plane.frame for image in select(images, spec)[0]]


def test_every_nth_slice_and_the_least_foreground(scans):
    images = volume("a", 10)
    assert kept(images, scans.bids_spec(slices=SliceSpec(every_n=3))) == [0, 3, 6, 9]
    assert kept(images, scans.bids_spec(slices=SliceSpec(min_foreground=0.75))) == [8, 9]


def test_images_that_are_no_slices_are_not_counted(scans):
    images = volume("a", 3, slice_index=None)
    assert kept(images, scans.bids_spec(slices=SliceSpec(every_n=3))) == [0, 1, 2]


def test_evenly_spaced_slices_are_left_after_the_empty_ones(scans):
    spec = scans.bids_spec(slices=SliceSpec(min_foreground=0.2, max_per_volume=3))
    assert kept([*volume("a", 10), *volume("b", 2, foreground=1)], spec) == [2, 6, 9, 0, 1]


def test_a_patient_has_at_most_so_many_images_drawn_alike_each_time(scans):
    images = [*volume("a", 10, "p1"), *volume("b", 10, "p1"), *volume("c", 4, "p2")]
    spec = scans.bids_spec(max_images_per_patient=5)
    chosen, _, notes = select(images, spec)
    assert Counter(image.source.patient for image in chosen) == {"p1": 5, "p2": 4}
    assert chosen == select(images, spec)[0]
    assert [image.row for image in chosen] != list(range(5)) + list(range(4))
    assert notes == ["cohort.max_images_per_patient left out 15 of 24 images."]


def test_files_of_which_nothing_is_left_are_named_with_the_rule(scans):
    images = [*volume("a", 2, foreground=0), *volume("b", 2, foreground=1)]
    _, refused, notes = select(images, scans.bids_spec(slices=SliceSpec(min_foreground=0.1)))
    assert [(row.path, row.found, row.reason) for row in refused] == [
        ("a", "2 images", "left out by cohort.slices.min_foreground")
    ]
    assert notes == ["cohort.slices.min_foreground left out 2 of 4 images."]


def test_single_slice_files_get_their_place_in_the_series():
    single = volume("a", 1, slice_index=None, slice_position=None)
    placed = with_places([*single, *volume("b", 2)], {("a", 0): (4, 0.5)})
    assert [(image.plane.slice_index, image.plane.slice_position) for image in placed] == [(4, 0.5), (0, 0.0), (1, 0.0)]


def masked(name: str, pixels: list[int]) -> list[Image]:
    images = volume(name, len(pixels), foreground=1.0)
    return [replace(i, plane=replace(i.plane, mask_pixels=n)) for i, n in zip(images, pixels, strict=True)]


def test_slices_with_some_of_the_mask(scans):
    images = [*masked("a", [0, 3, 0, 1]), *masked("b", [0, 0])]
    chosen, refused, _ = select(images, scans.bids_spec(slices=SliceSpec(with_mask=True)))
    assert [(image.source.path, image.plane.frame) for image in chosen] == [("a", 1), ("a", 3)]
    assert [(row.path, row.field) for row in refused] == [("b", "slices.with_mask")]


@pytest.mark.parametrize(("count", "frames"), [(1, [3]), (2, [3, 4]), (3, [2, 3, 4]), (5, [1, 2, 3, 4, 5]),
                                               (9, [0, 1, 2, 3, 4, 5])])  # fmt: skip
def test_slices_around_the_one_that_shows_most_of_the_mask(scans, count, frames):
    images = [*masked("a", [0, 0, 2, 9, 1, 0]), *masked("b", [0, 0])]
    assert kept(images, scans.bids_spec(slices=SliceSpec(around_mask=count))) == frames


def test_at_the_end_of_a_volume_as_many_slices_are_kept(scans):
    assert kept(masked("a", [0, 0, 0, 5]), scans.bids_spec(slices=SliceSpec(around_mask=3))) == [1, 2, 3]
    assert kept(masked("a", [5, 0, 0, 0]), scans.bids_spec(slices=SliceSpec(around_mask=3))) == [0, 1, 2]


def test_rules_for_slices_do_not_touch_volumes(scans):
    rules = SliceSpec(every_n=3, min_foreground=0.9, max_per_volume=1)
    images = volume("a", 1, slice_index=None, foreground=0.1)
    assert kept(images, scans.bids_spec(slices=rules, dimensions=3)) == [0]
