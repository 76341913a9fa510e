"""The slices of a series → stacks of parallel slices at even distances, or why they are none.

Slices are put apart by size, spacing, echo, b-value, time, image type and orientation, then sorted along the normal of
their plane; repeats of one place are put apart by what the header tells of them, by acquisition, or by their numbers.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from synthassay.scans.dicom.geometry import Vector, affine_of, normal_of
from synthassay.scans.dicom.slices import TELLING, SliceFacts
from synthassay.scans.unreadable import Unreadable

T = TypeVar("T")
LOCALISER = Unreadable("ImageType, SeriesDescription", "LOCALIZER", "a localiser, which only plans the scans")
SAME_PLACE_MM = 0.01
PARALLEL = 1e-3  # largest difference of two directions that count as one
EVEN = 0.2  # of the distance between slices: how far one may lie off the even grid (headers round positions)
GAP = 1.5  # times the usual distance: slices are missing
TILTED_DEGREES = 0.1
ASPECTS: dict[str, Callable[[SliceFacts], Hashable]] = {
    "size": lambda facts: (facts.rows, facts.columns),
    "spacing": lambda facts: None if facts.spacing is None else tuple(round(value, 3) for value in facts.spacing),
    "image type": lambda facts: facts.kind,
    "echo": lambda facts: facts.echo,
    "b-value": lambda facts: facts.b_value,
    "time": lambda facts: facts.time,
    "stack": lambda facts: facts.stack,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One slice of a series: the file that holds it, relative to the root, and what its header says."""

    path: str
    facts: SliceFacts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """Slices that belong together, in order along the normal.

    ``apart``: what it differs in from the other stacks of its series (empty: it is the whole series). With ``problem``
    it is no volume, only slices; otherwise ``affine`` is ``[4, 4]`` from (column, row, slice) to RAS+ mm.
    ``tilt_degrees``: between the way from slice to slice and the normal of their planes.
    """

    slices: tuple[Slice, ...]
    apart: tuple[str, ...] = ()
    problem: Unreadable | None = None
    affine: NDArray[np.float64] | None = None
    tilt_degrees: float = 0.0

    @property
    def paths(self) -> tuple[str, ...]:
        """Its files, in the order of its slices."""
        return tuple(dict.fromkeys(one.path for one in self.slices))

    @property
    def spacing_mm(self) -> tuple[float, float, float] | None:
        """Of rows, columns and slices."""
        if self.affine is None:
            return None
        column, row, between = (float(step) for step in np.linalg.norm(self.affine[:3, :3], axis=0))
        return row, column, between


def split_series(slices: Iterable[Slice]) -> list[Stack]:
    """All slices of one series as stacks, each slice in one; in the order in which the series has them."""
    ordered = sorted(slices, key=lambda one: (one.facts.order, one.path))
    stacks = []
    for names, group in _put_apart(ordered):
        for more, part in _repeats(group):
            stacks.append(_stack(part, (*names, *more)))
    return stacks


def _put_apart(slices: Sequence[Slice]) -> list[tuple[tuple[str, ...], list[Slice]]]:
    """Groups that agree on every aspect and on orientation, and what the groups differ in."""
    aspects: dict[Hashable, list[Slice]] = defaultdict(list)
    for one in slices:
        aspects[tuple(aspect(one.facts) for aspect in ASPECTS.values())].append(one)
    names = [name for i, name in enumerate(ASPECTS) if len({key[i] for key in aspects}) > 1]  # type: ignore[index]
    groups = [group for members in aspects.values() for group in _parallel(members)]
    if len(groups) > len(aspects):
        names.append("orientation")
    return [(tuple(names), group) for group in groups]


def _parallel(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Slices by orientation; those of unknown orientation are one group."""
    groups: list[tuple[Vector | None, list[Slice]]] = []
    for one in slices:
        directions = None if one.facts.orientation is None else np.asarray(one.facts.orientation)
        for known, group in groups:
            if (known is None) == (directions is None) and (
                known is None or directions is None or bool(np.abs(known - directions).max() <= PARALLEL)
            ):
                group.append(one)
                break
        else:
            groups.append((directions, [one]))
    return [group for _, group in groups]


def _repeats(slices: Sequence[Slice]) -> list[tuple[tuple[str, ...], list[Slice]]]:
    """One stack where no place is repeated, else one for each repeat, told by what tells them apart.

    One stack as well where nothing does: which of the images of two places belong together is not guessed.
    """
    places = _places(slices)
    if places is None or len(set(places)) == len(slices):
        return [((), list(slices))]
    located = list(zip(slices, places, strict=True))
    for index, (name, *_) in enumerate(TELLING):
        groups = _grouped(located, partial(_told, index))
        if len(groups) > 1 and _cover_the_same(groups):
            return [((name, *more), part) for group in groups for more, part in _repeats([one for one, _ in group])]
    acquisitions = _grouped(located, lambda pair: pair[0].facts.order[0])
    most = max(Counter(places).values())
    if len(acquisitions) == most and all(len({place for _, place in group}) == len(group) for group in acquisitions):
        return [(("acquisition",), [one for one, _ in group]) for group in acquisitions]
    if not _are_numbered(places):
        return [((), list(slices))]
    at_place = _grouped(located, lambda pair: pair[1])
    return [(("repeat",), [one for one, _ in group]) for group in zip(*at_place, strict=True)]


def _told(index: int, pair: tuple[Slice, int]) -> str:
    return pair[0].facts.telling[index] if pair[0].facts.telling else ""


def _cover_the_same(groups: Sequence[Sequence[tuple[Slice, int]]]) -> bool:
    """Whether all groups have as many images at each place."""
    first, *others = (Counter(place for _, place in group) for group in groups)
    return all(other == first for other in others)


def _are_numbered(places: Sequence[int]) -> bool:
    """Whether places, in the order of the images' numbers, follow one another as a loop over places makes them.

    It may have loops over repeats around it and within it.
    """
    count = len(set(places))
    if set(Counter(places).values()) != {len(places) / count}:
        return False
    repeats = len(places) // count
    for within in (number for number in range(1, repeats + 1) if repeats % number == 0):
        rounds = np.reshape(places, (-1, count, within))
        if (rounds == rounds[..., :1]).all() and all(len(set(one)) == count for one in rounds[..., 0].tolist()):
            return True
    return False


def _grouped(items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    groups: dict[Hashable, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return list(groups.values())


def _places(slices: Sequence[Slice]) -> list[int] | None:
    """The rank of each of parallel slices along their normal; slices closer than :data:`SAME_PLACE_MM` share one.

    None where a position or the orientation is not known.
    """
    positions = [one.facts.position for one in slices if one.facts.position is not None]
    orientation = slices[0].facts.orientation
    if orientation is None or len(positions) < len(slices):
        return None
    along = np.asarray(positions, np.float64) @ normal_of(orientation)
    order = np.argsort(along, kind="stable")
    steps = np.diff(along[order]) > SAME_PLACE_MM
    ranks = np.empty(len(along), np.int64)
    ranks[order] = np.concatenate([[0], np.cumsum(steps)])
    return [int(rank) for rank in ranks]


def _stack(slices: Sequence[Slice], apart: tuple[str, ...]) -> Stack:
    places = _places(slices)
    if places is not None:
        slices = [slices[int(i)] for i in np.argsort(places, kind="stable")]
    if any(one.facts.is_localiser for one in slices):
        return Stack(slices=tuple(slices), apart=apart, problem=LOCALISER)
    try:
        affine, tilt = _geometry(slices, places)
    except Unreadable as problem:
        return Stack(slices=tuple(slices), apart=apart, problem=problem)
    return Stack(slices=tuple(slices), apart=apart, affine=affine, tilt_degrees=tilt)


def _geometry(slices: Sequence[Slice], places: Sequence[int] | None) -> tuple[NDArray[np.float64], float]:
    """Affine and tilt of slices in order. Raises :class:`Unreadable` where they are no even stack."""
    first = slices[0].facts
    if places is None or first.orientation is None or first.position is None:
        raise Unreadable("ImagePositionPatient", "absent", "where its slices lie is not written")
    if first.spacing is None:
        raise Unreadable("PixelSpacing", "absent", "the size of its pixels is not written")
    if len(slices) == 1:
        raise Unreadable("slices", "1", "a single slice is no volume")
    if len(set(places)) < len(slices):
        counts = Counter(places).values()
        found = f"{sum(count > 1 for count in counts)} places with several images"
        why = "not the same number at each" if len(set(counts)) > 1 else "nothing says which of them belong together"
        raise Unreadable("ImagePositionPatient", found, f"several images at some places, and {why}")
    positions = np.asarray([one.facts.position for one in slices], np.float64)
    step = _even_step(positions, normal_of(first.orientation), max(first.spacing))
    cosine = float(step @ normal_of(first.orientation)) / float(np.linalg.norm(step))
    tilt = float(np.degrees(np.arccos(min(1.0, cosine))))
    return affine_of(positions[0], first.orientation, first.spacing, step), tilt if tilt > TILTED_DEGREES else 0.0


def _even_step(positions: NDArray[np.float64], normal: Vector, pixel: float) -> Vector:
    """The way from slice to slice. Raises :class:`Unreadable` for gaps, uneven distances and shifted slices."""
    along = positions @ normal
    distances = np.diff(along)
    usual = float(np.median(distances))
    wide = distances > GAP * usual
    if wide.any():
        missing = int(np.rint(distances[wide] / usual - 1).sum())
        raise Unreadable("ImagePositionPatient", f"{missing} slices missing in {int(wide.sum())} gaps", "it has gaps")
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    off = positions - positions[0] - np.arange(len(positions))[:, None] * step
    if np.abs(off @ normal).max() > EVEN * usual:
        found = f"{distances.min():.3g} to {distances.max():.3g} mm"
        raise Unreadable("ImagePositionPatient", found, "the distances between its slices are uneven")
    if np.linalg.norm(off - np.outer(off @ normal, normal), axis=1).max() > EVEN * max(usual, pixel):
        raise Unreadable("ImagePositionPatient", "not on one line", "its slices are shifted against each other")
    return np.asarray(step, np.float64)
