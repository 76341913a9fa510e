"""A set's neighbour graph, kernel sums and covariance as plain arrays, which a later run can take up again.

Values are equal bit for bit with and without: the arrays are what :func:`~synthassay.metrics.neighbours.describe` made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synthassay.metrics.kid import WithinSums
from synthassay.metrics.nearest import NearestLists
from synthassay.metrics.neighbours import Neighbourhoods, SetDescription, Variant, describe
from synthassay.metrics.points import Points
from synthassay.records import content_digest

WORTH = 1 << 33  # n²·d from which describing a set costs more than a file: a few tenths of a second

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class GraphKey:
    """What decides the arrays: the features and patients of the rows, the centre, and how many neighbours are kept."""

    rows: str
    centre: str
    k: int
    halves: bool


Keep = Callable[[GraphKey, Callable[[], Arrays]], Arrays]  # the arrays of a key, made by the second where absent


def described_with(keep: Keep, points: Points, kept: NDArray[np.bool_], k: int) -> SetDescription:
    """As :func:`~synthassay.metrics.neighbours.describe` in one process, through ``keep`` where the set is large."""
    if len(points) ** 2 * points.dimension < WORTH:
        return describe(points, kept, k)
    rows = content_digest(points.given.cpu().numpy(), points.units)
    key = GraphKey(rows, content_digest(points.centre.cpu().numpy()), k, kept.shape[1] > 1)
    return _description(points, kept, keep(key, lambda: _arrays(describe(points, kept, k))))


def _arrays(description: SetDescription) -> Arrays:
    """The covariance is there only where the Fréchet distance needs it: n > d."""
    kernel, points = description.kernel, description.points
    found = {"sizes": kernel.sizes, "between": kernel.between, "inside": kernel.inside}
    for variant, hood in description.hoods.items():
        if variant == "classic" and hood is description.hoods["patient-aware"]:
            continue
        found[f"{variant} squares"] = hood.lists.squares.cpu().numpy()
        found[f"{variant} columns"] = hood.lists.columns.cpu().numpy()
    if len(points) > points.dimension:
        found["covariance"] = description.moments.covariance.cpu().numpy()
    return found


def _description(points: Points, kept: NDArray[np.bool_], arrays: Arrays) -> SetDescription:
    held = {name: torch.from_numpy(array).to(points.device) for name, array in arrays.items()}
    aware = Neighbourhoods(points, NearestLists.of(held["patient-aware squares"], held["patient-aware columns"]))
    hoods: dict[Variant, Neighbourhoods] = {"patient-aware": aware, "classic": aware}
    if "classic squares" in held:
        hoods["classic"] = Neighbourhoods(points, NearestLists.of(held["classic squares"], held["classic columns"]))
    kernel = WithinSums(arrays["sizes"], arrays["between"], arrays["inside"])
    return SetDescription(points, kept, hoods, kernel, covariance=held.get("covariance"))
