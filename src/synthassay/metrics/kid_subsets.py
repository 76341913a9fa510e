"""KID as most papers report it (Binkowski et al. 2018): the mean over 100 pairs of random subsets of 1000 images.

Each subset of s = min(1000, n, m) images is drawn without replacement; its value is the unbiased squared MMD with the
kernel (x·y/d + 1)³, the diagonal dropped, as torch-fidelity computes it. The expectation is that of the classic
:func:`~synthassay.metrics.kid.kid` over all pairs; the subsets add noise, and their standard deviation ``sd``, which
papers print behind ±, is no standard error: subsets share images, and at s = n they are all the same.

The standard error here has two parts: the Hoeffding projection of the images summed within patients, from mean kernels
over the subsets that an image is in, and what the choice of subsets adds, sd²/100. Subsets are taken of images, as in
the convention, so images of one patient count as pairs; :func:`~synthassay.metrics.kid.kid` can leave them out.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from synthassay.errors import UserError
from synthassay.metrics.inputs import Matrix, Rows, checked_rows
from synthassay.metrics.intervals import CONFIDENCE, Interval, influence_variance, no_interval, t_interval
from synthassay.metrics.points import Features, row_blocks
from synthassay.seeding import numpy_generator

SUBSETS = 100
SUBSET_SIZE = 1000
HIGHER_IS_BETTER: bool | None = False
Draws = NDArray[np.int64]  # [subsets, size] row indices, distinct in each subset


def definition(n_real: int, n_synthetic: int, subsets: int = SUBSETS, size: int = SUBSET_SIZE) -> str:
    """What must be equal for two values to be comparable; the size is what the smaller set allows."""
    return f"(x·y/d+1)^3, unbiased, mean of {subsets} subsets of {subset_size(n_real, n_synthetic, size)}"


def subset_size(n_real: int, n_synthetic: int, size: int = SUBSET_SIZE) -> int:
    """Images a side in each subset."""
    return min(size, n_real, n_synthetic)


@dataclass(frozen=True, slots=True)
class KidSubsets:
    """The value of each subset ``[subsets]``, their ``size``, the standard error and units of the smaller side."""

    values: Matrix
    size: int
    standard_error: float | None
    units: int

    @property
    def value(self) -> float:
        """Mean over the subsets; may be negative."""
        return float(self.values.mean())

    @property
    def sd(self) -> float:
        """Standard deviation over the subsets, as the convention prints it (divided by their number)."""
        return float(self.values.std())

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """t interval with units-1 degrees of freedom."""
        if self.standard_error is None:
            return no_interval("an interval needs 2 patients on each side, and 2 subsets")
        return t_interval(
            self.value, self.standard_error, self.units, confidence, "Hoeffding projection by patient, and subsets"
        )


def kid_subsets(
    real: Features, synthetic: Features, *, real_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None, subsets: int = SUBSETS, size: int = SUBSET_SIZE, seed: int = 0,
) -> KidSubsets:  # fmt: skip
    """KID of ``[n, d]`` and ``[m, d]`` floating point features over random subsets.

    ``real_units``, ``synthetic_units``: patients of the rows (None: each row its own), for the standard error.
    """
    y = checked_rows("real", real, real_units, least=2)
    x = checked_rows("synthetic", synthetic, synthetic_units, like=y, least=2)
    s = subset_size(len(y), len(x), size)
    draws = [_drawn(len(side), s, subsets, numpy_generator("kid subsets", side.name, seed)) for side in (x, y)]
    return kid_of_subsets(x, y, draws[0], draws[1])


def _drawn(n: int, size: int, subsets: int, generator: np.random.Generator) -> Draws:
    return np.stack([generator.choice(n, size, replace=False) for _ in range(subsets)])


def kid_of_subsets(x: Rows, y: Rows, of_x: Draws, of_y: Draws) -> KidSubsets:
    """KID of the given subsets: row r of ``of_x`` and ``of_y`` (``[subsets, s]``) are one pair of subsets."""
    subsets, size = of_x.shape
    if of_y.shape != of_x.shape or size < 2:
        raise UserError(f"KID over subsets needs equally many of 2 rows or more, found {of_x.shape} and {of_y.shape}")
    pairs = len(x) ** 2 / 2 + len(y) ** 2 / 2 + len(x) * len(y)
    cheaper = pairs * (x.dimension + 2 * subsets) < 3 * subsets * size**2 * x.dimension
    sums = _all_pairs if cheaper else _pair_by_pair
    found = sums(x.values, y.values, x.on_device(of_x), y.on_device(of_y))
    own_x, own_y, cross_x, cross_y = (part.cpu().numpy() for part in found)
    within = (own_x.sum(axis=1) + own_y.sum(axis=1)) / (size * (size - 1))
    values = within - 2 * cross_x.sum(axis=1) / size**2
    units = min(x.n_units, y.n_units)
    if min(units, subsets) < 2:
        return KidSubsets(values, size, None, units)
    variance = float(values.var()) / max(1, subsets - 1)
    for side, own, cross, rows in ((x, own_x, cross_x, of_x), (y, own_y, cross_y, of_y)):
        variance += _projection_variance(side, own / (size - 1) - cross / size, rows)
    return KidSubsets(values, size, math.sqrt(variance), units)


def _projection_variance(side: Rows, means: Matrix, rows: Draws) -> float:
    """Variance of 2·mean(h) by unit; ``means`` ``[subsets, s]`` is h of each drawn row inside its subset.

    h of a row differs between its subsets, for these hold other rows. What that adds to the spread between rows is the
    choice of subsets again, which is counted elsewhere: it is taken off.
    """
    flat, n = rows.ravel(), len(side)
    times = np.bincount(flat, minlength=n)
    seen = np.flatnonzero(times)
    drawn = times[seen]
    h = np.bincount(flat, weights=means.ravel(), minlength=n)[seen] / drawn
    codes = np.unique(side.units[seen], return_inverse=True)[1]
    if codes.max() == 0:
        return 0.0
    within = np.zeros(n)
    within[seen] = h
    squares = np.bincount(flat, weights=(means.ravel() - within[flat]) ** 2)[seen]
    noise = float(squares.sum()) / max(1, int((drawn - 1).sum())) * float((1 / drawn).mean())
    variance = influence_variance(2 * (h - h.mean()) / len(seen), codes) - 4 * noise / len(seen)
    return max(0.0, variance) * len(seen) / n  # rows that no subset drew are as variable as the others


Sums = tuple[Tensor, Tensor, Tensor, Tensor]  # own x, own y, cross x, cross y: [subsets, s], row sums of the kernels


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    base = (x @ y.T).div_(x.shape[1]).add_(1.0)
    return (base * base).mul_(base)


def _diagonal(x: Tensor) -> Tensor:
    base: Tensor = torch.linalg.vecdot(x, x) / x.shape[1] + 1.0
    return base * base * base


def _pair_by_pair(x: Tensor, y: Tensor, of_x: Tensor, of_y: Tensor) -> Sums:
    """Row sums of each subset's own three kernel matrices: for sets much larger than a subset."""
    found = tuple(x.new_empty(of_x.shape) for _ in range(4))
    for subset, (a, b) in enumerate(zip(of_x, of_y, strict=True)):
        cross = _kernel(x[a], y[b])
        parts = _kernel(x[a], x[a]).sum(dim=1), _kernel(y[b], y[b]).sum(dim=1), cross.sum(dim=1), cross.sum(dim=0)
        for sums, part in zip(found, parts, strict=True):
            sums[subset] = part
    own_x, own_y, cross_x, cross_y = found
    return own_x - _diagonal(x)[of_x], own_y - _diagonal(y)[of_y], cross_x, cross_y


def _all_pairs(x: Tensor, y: Tensor, of_x: Tensor, of_y: Tensor) -> Sums:
    """The same from every kernel value once, times who is in which subset: for sets that subsets cover many times."""
    in_x, in_y = _membership(of_x, x), _membership(of_y, y)
    own_x, own_y = _own_pairs(x, in_x), _own_pairs(y, in_y)
    cross_x, cross_y = torch.zeros_like(in_x), torch.zeros_like(in_y)
    for rows in row_blocks(len(x), len(y)):
        tile = _kernel(x[rows], y)
        cross_x[rows] = tile @ in_y
        cross_y += tile.T @ in_x[rows]
    picked = ((own_x, of_x), (own_y, of_y), (cross_x, of_x), (cross_y, of_y))
    own_x, own_y, cross_x, cross_y = (sums.T.gather(1, drawn) for sums, drawn in picked)
    return own_x, own_y, cross_x, cross_y


def _own_pairs(x: Tensor, member: Tensor) -> Tensor:
    """``[n, subsets]``: kernel sums of each row with the others of each subset; every pair is visited once."""
    sums = torch.zeros_like(member)
    for rows in row_blocks(len(x), len(x)):
        tile = _kernel(x[rows], x[rows.start :])
        sums[rows] += tile @ member[rows.start :]
        sums[rows.stop :] += tile[:, len(tile) :].T @ member[rows]
    return sums - _diagonal(x)[:, None]


def _membership(draws: Tensor, like: Tensor) -> Tensor:
    """``[n, subsets]``: 1 where a row of ``like`` is in a subset."""
    return like.new_zeros((len(draws), len(like))).scatter_(1, draws, 1.0).T.contiguous()
