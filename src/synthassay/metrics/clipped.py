"""Clipped Density and Clipped Coverage (Salvy, Talbot & Thirion 2026, arXiv 2507.01761), as their code computes them.

Balls stand around real images, out to the k-th neighbour in the real set. The *classic* variant excludes the image
itself, the *patient-aware* one every image of its patient.

Clipped Density: (1) radii are clipped at their median over the real images; (2) a synthetic image counts the closed
balls that hold it, over k, clipped at 1; the mean is D. (3) The same for the real images among themselves is D_real;
the score is min(1, D / D_real). D_real is well under 1 (about ½ in 8 dimensions), so images in the densest places can
still make up for up to 1/D_real as many bad ones: read it beside Clipped Coverage.

Clipped Coverage: (1) radii are not clipped; (2) a real image counts the synthetic images in its open ball, over k,
clipped at 1; the mean is C. (3) f(i) is the mean expected from i images drawn like the real ones: the share of such
images in a ball is Beta(k, N-k), so the count is beta-binomial and f the mean of min(count, k)/k; f(i) = 0 for i < k.
The score is the smallest i with f(i) ≥ C, over m+1: the share of good images that would cover as much. In the
patient-aware variant a patient's s images leave N-s others, so N is N-s+1 for their balls, and f the mean over images.
f takes images for independent; where patients have several, only the distance to the floor can be read.

Intervals: half-sampling of patients on both sides, as for the other neighbour metrics; f is that of the whole sets,
carried on beyond m images, so that a half-sample that covers more than m good images would is not cut off.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from synthassay.errors import UserError
from synthassay.metrics.halfsampling import half_sample_interval, half_samples, replicate_radii
from synthassay.metrics.inputs import Matrix, Rows, checked_rows, distance_tiles
from synthassay.metrics.intervals import CONFIDENCE, Interval, share_interval
from synthassay.metrics.points import Features, row_blocks
from synthassay.seeding import numpy_generator

HIGHER_IS_BETTER: bool | None = True
TIE = 1e-9  # relative; squared distances this close are equal but for rounding, which near-duplicates make large


def definition(score: str, k: int) -> str:
    """What must be equal for two values of ``"clipped_density"`` or ``"clipped_coverage"`` to be comparable."""
    if score == "clipped_density":
        return f"k={k}, radii clipped at their median, <=, count/k clipped at 1, over the real set's own"
    return f"k={k}, <, count/k clipped at 1, beta-binomial calibration to a share of good images"


@dataclass(frozen=True, slots=True)
class ClippedScore:
    """A score, its half-samples ``replicates`` ``[R]`` before the last clipping at 1, and the units of the sides."""

    value: float
    replicates: Matrix
    real_units: int
    synthetic_units: int

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """t interval with the units of the smaller side less one, inside [0, 1]."""
        units = min(self.real_units, self.synthetic_units)
        interval = half_sample_interval(self.value, self.replicates, units, confidence)
        return share_interval(self.value, interval, units, confidence)


@dataclass(frozen=True, slots=True)
class ClippedScores:
    """Clipped Density (fidelity) and Clipped Coverage (diversity)."""

    density: ClippedScore
    coverage: ClippedScore


def clipped_density_coverage(
    real: Features, synthetic: Features, *, k: int = 5, real_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None, patient_aware: bool = True, replicates: int = 200, seed: int = 0,
) -> ClippedScores:  # fmt: skip
    """Both scores of ``[m, d]`` synthetic features against ``[n, d]`` real ones, floating point.

    ``real_units``, ``synthetic_units``: patients of the rows (None: each row its own, and the variants agree).
    ``replicates``: half-samples behind the intervals. An error if k neighbours cannot be found.
    """
    y = checked_rows("real", real, real_units)
    x = checked_rows("synthetic", synthetic, synthetic_units, like=y, least=k)
    alike = y.units if patient_aware else np.arange(len(y))
    others = len(y) - np.bincount(alike)[alike]
    if others.min() < k:
        raise UserError(f"'real' has {len(y)} rows of {y.n_units} patients: too few for the {k}-th neighbour among "
                        f"other {'patients' if patient_aware else 'rows'} (k must be smaller)")  # fmt: skip
    kept_y, kept_x = (
        y.on_device(half_samples(side.units, replicates, numpy_generator("clipped", side.name, seed)))
        for side in (y, x)
    )
    radii, own = _neighbourhoods(y, y.on_device(alike), kept_y, k)
    reach = radii.amax(dim=0)
    near = _joined([_close(tile, reach[rows], rows.start) for rows, tile in distance_tiles(y.values, x.values)])
    clipped = _clipped_at_median(radii)
    ratio = _density(near, clipped, kept_x, k) / _density(own, clipped, kept_y, k)
    found = _coverage(near, radii, kept_x, k)
    share = np.searchsorted(expected_coverage(others, 2 * len(x), k), found) / (len(x) + 1)
    density, coverage = (
        ClippedScore(min(1.0, float(scores[0])), scores[1:], y.n_units, x.n_units) for scores in (ratio, share)
    )
    return ClippedScores(density, coverage)


def expected_coverage(others: NDArray[np.int64], limit: int, k: int) -> Matrix:
    """f(0..``limit``) of the module's text: unscaled coverage expected from i images drawn like the real ones.

    ``others`` ``[n]``: how many images could be a neighbour of each real one. The count in a ball is a Pólya urn: after
    i images with j inside, the next is inside with probability (k+j)/(others+1+i).
    """
    sizes, rows = np.unique(others, return_counts=True)
    return _expected(tuple(sizes.tolist()), tuple(rows.tolist()), limit, k)


@lru_cache(maxsize=32)
def _expected(sizes_with: tuple[int, ...], rows_with: tuple[int, ...], limit: int, k: int) -> Matrix:
    """The same for ``rows_with`` real images of each of ``sizes_with``; kept, since every set of a run asks for it."""
    sizes, rows = np.array(sizes_with), np.array(rows_with)
    inside = np.arange(k, dtype=np.float64)
    chance = np.zeros((len(sizes), k))  # of j = 0..k-1 images inside
    chance[:, 0] = 1.0
    growth = np.empty(limit)
    for i in range(limit):
        moved = chance * (k + inside) / (sizes[:, None] + 1 + i)
        growth[i] = rows @ moved.sum(axis=1) / (k * rows.sum())
        chance -= moved
        chance[:, 1:] += moved[:, :-1]
    expected = np.concatenate([[0.0], np.cumsum(growth)])
    expected[:k] = 0.0  # as in the authors' code
    expected.flags.writeable = False
    return expected


@dataclass(frozen=True, slots=True)
class _Pairs:
    """A real row whose ball may hold a point, the point's row, and their squared distance: ``[E]`` each."""

    ball: Tensor
    point: Tensor
    squares: Tensor


def _close(tile: Tensor, reach: Tensor, first: int) -> _Pairs:
    """The pairs of ``tile`` (rows are balls from row ``first`` on) within the squared ``reach`` of each ball."""
    ball, point = (tile <= reach[:, None] * (1 + TIE)).nonzero(as_tuple=True)
    return _Pairs(ball + first, point, tile[ball, point])


def _joined(parts: list[_Pairs]) -> _Pairs:
    return _Pairs(torch.cat([part.ball for part in parts]), torch.cat([part.point for part in parts]),
                  torch.cat([part.squares for part in parts]))  # fmt: skip


def _neighbourhoods(real: Rows, alike: Tensor, kept: Tensor, k: int) -> tuple[Tensor, _Pairs]:
    """Squared radii ``[R, n]`` in each half-sample, -1 for rows it leaves out, and the pairs of real images near by.

    Rows of equal ``alike`` are no neighbours. Where a half-sample leaves a row fewer than k, R is 1: the whole set.
    """
    radii, parts = torch.empty(kept.shape, dtype=torch.float64, device=kept.device), []
    for rows, tile in distance_tiles(real.values, real.values):
        tile[alike[rows, None] == alike[None, :]] = torch.inf
        radii[rows] = replicate_radii(tile, kept, k)
        parts.append(_close(tile, radii[rows].masked_fill(radii[rows].isinf(), 0.0).amax(dim=1), rows.start))
    if not radii[kept].isfinite().all():
        kept, radii = kept[:, :1], radii[:, :1]
    return torch.where(kept, radii, -1.0).T.contiguous(), _joined(parts)


def _clipped_at_median(radii: Tensor) -> Tensor:
    """``radii`` ``[R, n]`` (squared) at most the median radius of the rows that are there."""
    roots = radii.clamp(min=0.0).sqrt().masked_fill(radii < 0, torch.nan).cpu().numpy()
    middle = torch.from_numpy(np.nanmedian(roots, axis=1) ** 2).to(radii.device)
    return torch.minimum(radii, middle[:, None])


def _density(pairs: _Pairs, limits: Tensor, kept: Tensor, k: int) -> Matrix:
    """``[R]``: mean over the kept points of min(balls that hold it, k)/k; ``limits`` ``[R, n]`` squared radii."""
    order = pairs.point.argsort(stable=True)
    by_point = _Pairs(pairs.ball[order], pairs.point[order], pairs.squares[order])
    held = _held(by_point, by_point.point, torch.le, limits * (1 + TIE), kept, k)
    return np.asarray(held / (k * kept[:, : len(limits)].sum(dim=0).cpu().numpy()))


def _coverage(pairs: _Pairs, radii: Tensor, kept: Tensor, k: int) -> Matrix:
    """``[R]``: mean over the balls of min(kept points inside, k)/k; ``radii`` ``[R, n]``, -1 where there is none."""
    held = _held(pairs, pairs.ball, torch.lt, radii * (1 - TIE), kept, k)
    return np.asarray(held / (k * (radii >= 0).sum(dim=1).cpu().numpy()))


def _held(
    pairs: _Pairs, group: Tensor, inside: Callable[[Tensor, Tensor], Tensor], limits: Tensor, kept: Tensor, k: int
) -> Matrix:
    """``[R]``: Σ min(kept pairs inside their limit, k) over groups of pairs; ``group`` ``[E]`` is ascending."""
    sizes = torch.bincount(group)
    last = sizes.cumsum(dim=0)[sizes > 0] - 1
    found = np.empty(len(limits))
    for rows in row_blocks(len(limits), len(group)):
        counted = inside(pairs.squares[:, None], limits[rows].T.contiguous().index_select(0, pairs.ball))
        counted &= kept[:, rows].contiguous().index_select(0, pairs.point)
        upto = counted.T.contiguous().cumsum(dim=1, dtype=torch.int32)[:, last]
        counts = upto.diff(dim=1, prepend=upto.new_zeros((len(upto), 1)))
        found[rows] = counts.clamp(max=k).sum(dim=1).cpu().numpy()
    return found
