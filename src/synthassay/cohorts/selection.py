"""Which of the images that were read belong to the cohort: the written rules for slices and for numbers."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import numpy as np

from synthassay.cohorts.sources import Image
from synthassay.cohorts.specs import CohortSpec, SliceSpec
from synthassay.records import Quarantined
from synthassay.seeding import numpy_generator


def with_places(images: Sequence[Image], placed: dict[tuple[str, int], tuple[int, float]]) -> list[Image]:
    """Images with their place in the stack of their series, ``(index, position)`` by path and frame."""
    located = []
    for image in images:
        place = placed.get((image.source.path, image.plane.frame))
        if place is not None:
            image = replace(image, plane=replace(image.plane, slice_index=place[0], slice_position=place[1]))
        located.append(image)
    return located


def select(images: Sequence[Image], spec: CohortSpec) -> tuple[list[Image], list[Quarantined], list[str]]:
    """The images that the rules keep, the files of which nothing is left, and sentences about what each rule took."""
    rules = [] if spec.dimensions == 3 else _slice_rules(spec.slices)
    rules.append(
        ("max_images_per_patient", lambda some: _at_most(some, spec.max_images_per_patient, _patient, _drawn(spec)))
    )
    kept, notes = list(images), []
    lost: dict[str, str] = {}
    for rule, apply in rules:
        left = apply(kept)
        if len(left) < len(kept):
            notes.append(f"cohort.{rule} left out {len(kept) - len(left):,} of {len(kept):,} images.")
            remaining = {image.source.path for image in left}
            lost |= {image.source.path: rule for image in kept if image.source.path not in remaining}
        kept = left
    per_file = Counter(image.source.path for image in images)
    refused = [Quarantined(path=path, field=rule, found=f"{per_file[path]} images", reason=f"left out by cohort.{rule}")
               for path, rule in sorted(lost.items())]  # fmt: skip
    return kept, refused, notes


Rule = tuple[str, Callable[[Sequence[Image]], list[Image]]]


def _slice_rules(slices: SliceSpec) -> list[Rule]:
    """The rules by which slices of volumes are kept, in the order in which they are applied."""
    rules: list[Rule] = [
        ("slices.every_n", lambda some: [i for i in some if (i.plane.slice_index or 0) % slices.every_n == 0]),
        ("slices.min_foreground", lambda some: [i for i in some if i.plane.foreground >= slices.min_foreground]),
    ]
    if slices.with_mask:
        rules.append(("slices.with_mask", lambda some: [i for i in some if i.plane.mask_pixels]))
    if slices.around_mask is not None:
        rules.append(("slices.around_mask", lambda some: _around_mask(some, slices.around_mask or 1)))
    rules.append(("slices.max_per_volume", lambda some: _at_most(some, slices.max_per_volume, _series, _evenly)))
    return rules


def _around_mask(images: Sequence[Image], count: int) -> list[Image]:
    """Of each volume the ``count`` slices around the one that shows most of the mask; none of one without a mask."""
    kept: set[int] = set()
    for rows in _grouped(images, _series).values():
        stack = sorted(rows, key=lambda row: (images[row].plane.slice_index or 0, row))
        shown = [images[row].plane.mask_pixels or 0 for row in stack]
        if any(shown):
            start = min(max(0, shown.index(max(shown)) - (count - 1) // 2), max(0, len(stack) - count))
            kept.update(stack[start : start + count])
    return [image for row, image in enumerate(images) if row in kept]


def _grouped(images: Sequence[Image], key: Callable[[Image], Hashable]) -> dict[Hashable, list[int]]:
    """Rows of each group, groups by first appearance."""
    groups: dict[Hashable, list[int]] = {}
    for row, image in enumerate(images):
        groups.setdefault(key(image), []).append(row)
    return groups


def _series(image: Image) -> Hashable:
    return image.source.patient, image.source.series


def _patient(image: Image) -> Hashable:
    return image.source.patient


Pick = Callable[[int, int, int], Sequence[int]]  # (group's number, its size, limit) → positions that stay


def _evenly(_: int, size: int, limit: int) -> Sequence[int]:
    return [int(place) for place in np.linspace(0, size - 1, limit).round()]


def _drawn(spec: CohortSpec) -> Pick:
    def pick(number: int, size: int, limit: int) -> Sequence[int]:
        return [int(i) for i in numpy_generator("cohort images", spec.split.seed, number).permutation(size)[:limit]]

    return pick


def _at_most(images: Sequence[Image], limit: int | None, key: Callable[[Image], Hashable], pick: Pick) -> list[Image]:
    """At most ``limit`` images of each group, groups numbered by first appearance; the order stays."""
    if limit is None:
        return list(images)
    kept: set[int] = set()
    for number, rows in enumerate(_grouped(images, key).values()):
        if len(rows) <= limit:
            kept.update(rows)
            continue
        stack = sorted(rows, key=lambda row: (images[row].plane.slice_index or 0, row))
        kept.update(stack[place] for place in pick(number, len(stack), limit))
    return [image for row, image in enumerate(images) if row in kept]
