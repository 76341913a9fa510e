"""Half-samples of patients without replacement, and radii of neighbourhoods in all of them at once.

The variance of a statistic over half-samples of P patients equals its variance over samples of P patients to first
order (the delete-half jackknife: S²/(P/2) · (1 - 1/2) = S²/P). Unlike the bootstrap it repeats no point, so that
neighbourhoods do not shrink on duplicates. A half-sample has fewer points and so another mean; only the spread of the
replicates is used, around the estimate from all patients.
"""

import numpy as np
from numpy.typing import NDArray

from synthassay.metrics.intervals import CONFIDENCE, Interval, no_interval, t_interval

FIRST_DEPTH = 6  # neighbours looked at first, in multiples of k; a half-sample needs about 2k


def half_samples(units: NDArray[np.int64], replicates: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which rows are kept: ``[n, 1 + replicates]``; column 0 keeps all, each other column half of the units.

    ``units``: ``[n]`` codes 0..P-1. For odd P the half is rounded up or down by chance, which keeps the variance right.
    """
    count = int(units.max(initial=-1)) + 1
    if count == 0:
        return np.ones((0, 1 + replicates), np.bool_)
    rank = generator.random((replicates, count)).argsort(axis=1).argsort(axis=1)
    size = count // 2 + (generator.integers(0, 2, replicates) if count % 2 else np.zeros(replicates, np.int64))
    kept = np.ones((count, 1 + replicates), np.bool_)
    kept[:, 1:] = (rank < np.clip(size, 1, None)[:, None]).T
    return kept[units]


def place_of_kth(near: NDArray[np.int64], kept: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """Position in each row of ``near`` (``[b, depth]`` candidate indices, nearest first) of the k-th kept one.

    ``kept``: ``[n, R]``. Returns ``[b, R]``; ``depth`` where fewer than k are kept.
    """
    count = np.zeros((len(near), kept.shape[1]), np.int16 if near.shape[1] < 2**15 else np.int32)
    place = np.zeros_like(count)
    for column in range(near.shape[1]):
        count += kept[near[:, column]]
        place += count < k
    return place.astype(np.int64)


def replicate_radii(distances: NDArray[np.float64], kept: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    """Squared distance of each row to its k-th nearest kept column, in every replicate.

    ``distances``: ``[b, n]``, inf where a column must not count; ``kept``: ``[n, R]``. Returns ``[b, R]``, inf where
    fewer than k columns are kept. Looks at the nearest few columns first and deeper only in rows that need it.
    """
    rows, width = distances.shape
    radii = np.full((rows, kept.shape[1]), np.inf)
    todo, depth = np.arange(rows), min(width, FIRST_DEPTH * k + 2)
    while len(todo):
        near, values = nearest_columns(distances[todo], depth)
        place = place_of_kth(near, kept, k)
        done = (place < depth).all(axis=1) if depth < width else np.ones(len(todo), np.bool_)
        padded = np.concatenate([values[done], np.full((int(done.sum()), 1), np.inf)], axis=1)
        radii[todo[done]] = np.take_along_axis(padded, place[done], axis=1)
        todo, depth = todo[~done], min(width, 4 * depth)
    return radii


def nearest_columns(distances: NDArray[np.float64], depth: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The ``depth`` nearest columns of each row, nearest first, and their distances: two ``[b, depth]`` arrays."""
    if depth < distances.shape[1]:
        near = np.argpartition(distances, depth - 1, axis=1)[:, :depth]
    else:
        near = np.broadcast_to(np.arange(depth), distances.shape)
    values = np.take_along_axis(distances, near, axis=1)
    order = np.argsort(values, axis=1, kind="stable")
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(values, order, axis=1)


def half_sample_interval(
    value: float, replicates: NDArray[np.float64], units: int, confidence: float = CONFIDENCE
) -> Interval:
    """``value`` ± t(units-1) × the spread of ``replicates`` ``[R]`` (half-samples on every random side)."""
    if not np.isfinite(replicates).all() or len(replicates) < 2:
        return no_interval("too few patients: some half-samples leave fewer than k neighbours")
    return t_interval(value, float(replicates.std(ddof=1)), units, confidence, "half-sampling of patients")
