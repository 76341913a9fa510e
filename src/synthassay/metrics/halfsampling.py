"""Half-samples of patients without replacement, and radii of neighbourhoods in all of them at once.

The variance of a statistic over half-samples of P patients equals its variance over samples of P patients to first
order (the delete-half jackknife: S²/(P/2) · (1 - 1/2) = S²/P). Unlike the bootstrap it repeats no point, so that
neighbourhoods do not shrink on duplicates. A half-sample has fewer points and so another mean; only the spread of the
replicates is used, around the estimate from all patients.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthassay.metrics.intervals import CONFIDENCE, Interval, no_interval, t_interval
from synthassay.metrics.points import row_blocks

ENTRIES = 1 << 18  # rows times replicates that are looked at together: they stay in the cache
FIRST_DEPTH = 6  # neighbours looked at first, in multiples of k; a half-sample needs about 2k


def half_samples(units: NDArray[np.int64], replicates: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which rows are kept: ``[n, 1 + replicates]``; column 0 keeps all, each other column half of the units.

    ``units``: ``[n]`` codes 0..P-1. For odd P the half is rounded up or down by chance: the
    variance is then (P²+1)/(P²-1) of what it should be, 8% too much at 5 patients.
    """
    count = int(units.max(initial=-1)) + 1
    if count == 0:
        return np.ones((0, 1 + replicates), np.bool_)
    rank = generator.random((replicates, count)).argsort(axis=1).argsort(axis=1)
    size = count // 2 + (generator.integers(0, 2, replicates) if count % 2 else np.zeros(replicates, np.int64))
    kept = np.ones((count, 1 + replicates), np.bool_)
    kept[:, 1:] = (rank < np.clip(size, 1, None)[:, None]).T
    return kept[units]


def place_of_kth(near: Tensor, kept: Tensor, k: int) -> Tensor:
    """Position in each row of ``near`` (``[b, depth]`` candidate columns, nearest first) of the k-th kept one.

    ``kept``: ``[n, R]``; a candidate of -1 is nobody. Returns ``[b, R]``; ``depth`` where fewer than k are kept.
    """
    depth = near.shape[1]
    small = torch.int8 if depth < 1 << 7 else torch.int16 if depth < 1 << 15 else torch.int32
    there = torch.cat([kept, kept.new_zeros((1, kept.shape[1]))]).to(small)  # the last row is nobody
    count = torch.zeros((len(near), kept.shape[1]), dtype=small, device=near.device)
    place = torch.zeros_like(count)
    for candidates in torch.where(near < 0, len(kept), near).T.contiguous():
        count += there.index_select(0, candidates)
        place += (count < k).to(small)
    return place.long()


def listed_radii(squares: Tensor, near: Tensor, kept: Tensor, k: int) -> Tensor:
    """Squared distance of each row to its k-th kept candidate, in every replicate; inf where fewer are kept.

    ``squares``, ``near``: ``[b, depth]`` candidates, nearest first; ``kept``: ``[n, R]``. Returns ``[b, R]``.
    """
    padded = torch.cat([squares, squares.new_full((len(squares), 1), torch.inf)], dim=1)
    blocks = row_blocks(len(near), kept.shape[1], ENTRIES)
    found = [padded[rows].gather(1, place_of_kth(near[rows], kept, k)) for rows in blocks]
    return torch.cat(found) if found else squares.new_zeros((0, kept.shape[1]))


def replicate_radii(squares: Tensor, kept: Tensor, k: int) -> Tensor:
    """Squared distance of each row to its k-th nearest kept column, in every replicate.

    ``squares``: ``[b, n]``, inf where a column must not count; ``kept``: ``[n, R]``. Returns ``[b, R]``, inf where
    fewer than k columns are kept. Looks at the nearest few columns first and deeper only in rows that need it.
    """
    rows, width = squares.shape
    radii = squares.new_full((rows, kept.shape[1]), torch.inf)
    todo, depth = torch.arange(rows, device=squares.device), min(width, FIRST_DEPTH * k + 2)
    while len(todo):
        values, near = squares[todo].topk(depth, largest=False)
        found = listed_radii(values, near, kept, k)
        done = torch.isfinite(found).all(dim=1) if depth < width else torch.ones(len(todo), dtype=torch.bool)
        radii[todo[done]] = found[done]
        todo, depth = todo[~done], min(width, 4 * depth)
    return radii


def half_sample_interval(
    value: float, replicates: NDArray[np.float64], units: int, confidence: float = CONFIDENCE
) -> Interval:
    """``value`` ± t(units-1) × the spread of ``replicates`` ``[R]`` (half-samples on every random side)."""
    if not np.isfinite(replicates).all() or len(replicates) < 2:
        return no_interval("too few patients: some half-samples leave fewer than k neighbours")
    return t_interval(value, float(replicates.std(ddof=1)), units, confidence, "half-sampling of patients")
