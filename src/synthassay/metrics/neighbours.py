"""One visit of every tile: neighbourhoods inside a set, pairs between two sets, and the kernel sums of KID.

:func:`describe` looks at a set alone, :func:`compare` at a synthetic set against a real one; what precision, recall,
density, coverage, authenticity and KID need follows from the two without touching the features again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.metrics.frechet import Moments
from synthassay.metrics.halfsampling import replicate_radii
from synthassay.metrics.kid import CrossAccumulator, CrossSums, WithinAccumulator, WithinSums
from synthassay.metrics.points import Points, inner_products, polynomial_kernel, squared_distances

Variant = Literal["patient-aware", "classic"]
VARIANTS: tuple[Variant, ...] = ("patient-aware", "classic")


@dataclass(frozen=True, slots=True)
class Neighbourhoods:
    """Squared distances inside one set under one variant's rule of who may be a neighbour.

    ``radii``: ``[n, R]`` to the k-th neighbour in each half-sample, column 0 being the whole set; ``nearest``: ``[n]``
    to the nearest.
    """

    radii: NDArray[np.float64]
    nearest: NDArray[np.float64]


class SetDescription:
    """A set, its half-samples ``kept`` (``[n, R]``, column 0 all True), its neighbourhoods and its kernel sums."""

    def __init__(
        self, points: Points, kept: NDArray[np.bool_], hoods: Mapping[Variant, Neighbourhoods], kernel: WithinSums
    ) -> None:
        self.points, self.kept, self.hoods, self.kernel = points, kept, hoods, kernel

    @cached_property
    def moments(self) -> Moments:
        """For the Fréchet distance."""
        return Moments(self.points)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Close pairs, ordered by the first index: a synthetic row, a real row, and their squared distance."""

    synthetic: NDArray[np.int64]
    real: NDArray[np.int64]
    distances: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A synthetic set seen from a real one.

    ``near_real[variant]``: the pairs inside the real row's largest radius over all half-samples; ``near_synthetic``:
    the same for the synthetic row's. ``nearest``: ``[m]`` real row nearest to each synthetic one, at ``distances``.
    """

    near_real: Mapping[Variant, Pairs]
    near_synthetic: Mapping[Variant, Pairs]
    nearest: NDArray[np.int64]
    distances: NDArray[np.float64]
    kernel: CrossSums


def enough_neighbours(points: Points, k: int) -> bool:
    """Whether every row has k others of other units, so that both variants are defined."""
    return len(points) > 0 and len(points) - int(points.sizes.max()) >= k


def describe(points: Points, kept: NDArray[np.bool_], k: int) -> SetDescription:
    """Neighbourhoods and kernel sums of one set; an error if some row has fewer than k possible neighbours.

    ``kept``: ``[n, R]`` half-samples from :func:`synthassay.metrics.halfsampling.half_samples`. Where some half-sample
    leaves a row with fewer than k neighbours, only the whole set is described: there can be no interval then.
    """
    if not enough_neighbours(points, k):
        raise UserError(f"'{points.name}' has {len(points)} rows of {points.n_units} patients: too few for the "
                        f"{k}-th neighbour among other patients (k must be smaller)")  # fmt: skip
    kernel = WithinAccumulator(points)
    variants = VARIANTS if points.clustered else VARIANTS[:1]
    found: dict[Variant, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {v: [] for v in variants}
    for rows in points.blocks(len(points)):
        products = inner_products(points, points, rows)
        kernel.add(rows, polynomial_kernel(points, points, rows, products))
        distances = squared_distances(points, points, rows, products)
        np.fill_diagonal(distances[:, rows], np.inf)
        for variant in reversed(variants):
            if variant == "patient-aware" and points.clustered:
                distances[points.units[rows, None] == points.units[None, :]] = np.inf
            found[variant].append((replicate_radii(distances, kept, k), distances.min(axis=1)))
    hoods = {v: _hood(parts, kept) for v, parts in found.items()}
    return SetDescription(points, kept, {v: hoods.get(v, hoods[variants[0]]) for v in VARIANTS}, kernel.result())


def _hood(
    parts: list[tuple[NDArray[np.float64], NDArray[np.float64]]], kept: NDArray[np.bool_]
) -> Neighbourhoods:  # fmt: skip
    radii = np.concatenate([radius for radius, _ in parts])
    if not np.isfinite(radii[kept]).all():
        radii = radii[:, :1]
    return Neighbourhoods(radii, np.concatenate([nearest for _, nearest in parts]))


def compare(synthetic: SetDescription, real: SetDescription) -> Comparison:
    """Pairs, nearest real rows and kernel sums of a synthetic set against a real one."""
    x, y = synthetic.points, real.points
    kernel = CrossAccumulator(x, y)
    reach_real = {v: _reach(real, v) for v in VARIANTS}
    reach_synthetic = {v: _reach(synthetic, v) for v in VARIANTS}
    near_real: dict[Variant, list[Pairs]] = {v: [] for v in VARIANTS}
    near_synthetic: dict[Variant, list[Pairs]] = {v: [] for v in VARIANTS}
    nearest: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    for rows in x.blocks(len(y)):
        products = inner_products(x, y, rows)
        kernel.add(rows, polynomial_kernel(x, y, rows, products))
        distances = squared_distances(x, y, rows, products)
        column = distances.argmin(axis=1)
        nearest.append((column, distances[np.arange(len(column)), column]))
        for v in VARIANTS:  # a set whose variants agree repeats its pairs; they are cheap next to the distances
            near_real[v].append(_pairs(distances, distances < reach_real[v][None, :], rows.start))
            near_synthetic[v].append(_pairs(distances, distances < reach_synthetic[v][rows, None], rows.start))
    return Comparison(
        {v: _joined(near_real[v]) for v in VARIANTS}, {v: _joined(near_synthetic[v]) for v in VARIANTS},
        np.concatenate([a for a, _ in nearest]), np.concatenate([b for _, b in nearest]), kernel.result(),
    )  # fmt: skip


def nearest_rows(x: Points, y: Points) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each row of ``x`` the nearest row of ``y`` and its squared distance."""
    found, squares = np.zeros(len(x), np.int64), np.zeros(len(x))
    for rows in x.blocks(len(y)):
        distances = squared_distances(x, y, rows, inner_products(x, y, rows))
        found[rows], squares[rows] = distances.argmin(axis=1), distances.min(axis=1)
    return found, squares


def _reach(side: SetDescription, variant: Variant) -> NDArray[np.float64]:
    radii = side.hoods[variant].radii
    return np.asarray(np.where(side.kept[:, : radii.shape[1]], radii, 0.0).max(axis=1))


def _pairs(distances: NDArray[np.float64], close: NDArray[np.bool_], first: int) -> Pairs:
    row, column = np.nonzero(close)
    return Pairs(row + first, column, distances[row, column])


def _joined(parts: list[Pairs]) -> Pairs:
    return Pairs(np.concatenate([p.synthetic for p in parts]), np.concatenate([p.real for p in parts]),
                 np.concatenate([p.distances for p in parts]))  # fmt: skip
