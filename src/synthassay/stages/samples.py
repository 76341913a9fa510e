"""Sample grids: a few images of each set with each label from each site, for a page and for trackers."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synthassay.records import MISSING, SPLITS, UNLABELLED, Cohort, ImageSet
from synthassay.reports.data import GridCell
from synthassay.seeding import derive_seed

if TYPE_CHECKING:
    from synthassay.stages.line import Line

PER_CELL = 6  # images of one set, label and site
NO_LABEL = "no label"
MOST_LABELS, MOST_ROWS = 6, 24  # of a grid; a row is of one label and site


def as_uint8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """``uint8`` as it is, ``uint16`` by its high byte."""
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def pictured(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """``[m, c, h, w]`` as ``uint8``; of volumes ``[m, c, d, h, w]`` the middle slices across the three axes.

    These stand side by side, the first one as the volume is stacked, at the top of a black ground.
    """
    if pixels.ndim == 4:
        return as_uint8(pixels)
    planes = [as_uint8(np.take(pixels, pixels.shape[axis] // 2, axis)) for axis in (2, 3, 4)]
    height = max(plane.shape[2] for plane in planes)
    return np.concatenate([np.pad(p, ((0, 0), (0, 0), (0, height - p.shape[2]), (0, 0))) for p in planes], axis=3)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The labels and sites of a cohort that have no row: a grid of hundreds of hospitals is not looked at."""

    labels: frozenset[str]
    sites: frozenset[str]


def left_out(cohort: Cohort) -> LeftOut:
    """All but those with the most images; sites that are kept out have a third of the rows, where there are many."""
    images, external = cohort.images, cohort.splits == "external"
    labels = _largest_first(label_texts(images))
    positive = [label for label in labels if label == images.label_names[cohort.positive]]
    shown = list(dict.fromkeys([*positive, *labels]))[:MOST_LABELS]
    sites = _sites(images)
    room = MOST_ROWS // len(shown)
    inside, outside = _largest_first(sites[~external]), _largest_first(sites[external])
    outside = outside[: max(room // 3, room - len(inside))]
    places = {*outside, *inside[: room - len(outside)]}
    return LeftOut(frozenset(labels) - frozenset(shown), frozenset(sites.tolist()) - places)


def label_texts(images: ImageSet) -> NDArray[np.str_]:
    """The label of each image as a text; ``UNLABELLED`` is -1, and so the last of the texts."""
    return np.array([*images.label_names, NO_LABEL])[images.labels]


def _sites(images: ImageSet) -> NDArray[np.str_]:
    return images.groups.get("site", np.full(len(images), MISSING))


def _largest_first(values: NDArray[np.str_]) -> list[str]:
    names, counts = np.unique(values, return_counts=True)
    ordered: list[str] = names[np.argsort(-counts, kind="stable")].tolist()
    return ordered


def grid_cells(line: "Line", *, real_images: bool) -> list[GridCell]:
    """Sample images per set, label and site. Controls are made of real images, all but the noise."""
    shown: dict[str, ImageSet] = {}
    if real_images:
        shown["real (test)"] = line.cohort.split("test")
        if len(external := line.cohort.split("external")):
            shown["real (external)"] = external
    for name, images in line.sets.items():
        if real_images or images.origin in ("generator", "external"):
            shown[name] = images
    without = left_out(line.cohort)
    return [cell for name, images in shown.items() for cell in _cells(name, images, without)]


def split_cells(line: "Line") -> list[GridCell]:
    """Real images per split, label and site; only those that are shown are read."""
    cohort, without = line.cohort, left_out(line.cohort)
    return [cell for name in SPLITS for cell in _cells(name, cohort.images, without, cohort.splits == name)]


def _cells(
    name: str, images: ImageSet, without: LeftOut, within: NDArray[np.bool_] | bool = True
) -> Iterable[GridCell]:  # fmt: skip
    """The cells of the images ``within``, all of them by default."""
    sites = _sites(images)
    for label, site in product(np.unique(images.labels).tolist(), np.unique(sites).tolist()):
        text = images.label_names[label] if label != UNLABELLED else NO_LABEL
        if text in without.labels or site in without.sites:
            continue
        rows = np.flatnonzero((images.labels == label) & (sites == site) & within)
        if len(rows):
            chosen = np.random.default_rng(derive_seed("grid", name, label, site)).permutation(rows)[:PER_CELL]
            pixels = pictured(np.asarray(images.pixels[np.sort(chosen)]))
            yield GridCell(set_name=name, label=text, site=site, images=pixels)


def tracker_grids(line: "Line", real_images: bool) -> dict[str, NDArray[np.uint8]]:
    """One picture ``[h, w, c]`` per set: a row of samples for each label and site."""
    rows: dict[str, list[NDArray[np.uint8]]] = {}
    for cell in grid_cells(line, real_images=real_images):
        padded = np.zeros((PER_CELL, *cell.images.shape[1:]), np.uint8)
        padded[: len(cell.images)] = cell.images
        rows.setdefault(cell.set_name, []).append(np.concatenate(list(padded.transpose(0, 2, 3, 1)), axis=1))
    return {name: np.concatenate(strips, axis=0) for name, strips in rows.items()}
