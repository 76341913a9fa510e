"""C_T (Meehan, Chaudhuri & Dasgupta 2020): are synthetic images nearer to the training images than new images are?

As dgm-eval computes it. Features of more than 64 dimensions are projected on the 64 principal axes of the training set
(exact, so that no draw is involved), which k-means divides into 3 cells (10 starts). In each cell the distances of
synthetic and of test images to the nearest training image *of the cell* are compared by the Mann-Whitney U:
Z = (U - (nm/2 - ½)) / √(nm(n+m+1)/12), ties counted half, U the pairs in which the synthetic image is farther.
C_T is the mean of Z over cells, weighted by their share of the test images.

Far below 0 is copying, far above 0 is underfitting, 0 is right; so it has no better direction, and it grows with √n.
A mean over images is blind to a few copies: see :mod:`~synthassay.metrics.tail_copies`.

Cells with τ·m = 20 synthetic images or fewer do not count (the definition). Nor do cells without test or without
training images, for which the published code stops: ``note`` names both.

Standard error with the training set and its cells given: U/nm is a mean over pairs, whose influence is each image's
share of images of the other side that it beats; Z also moves with the counts of its cell. By patient, over all cells.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from synthassay.metrics.inputs import Matrix, Rows, checked_rows
from synthassay.metrics.intervals import CONFIDENCE, Interval, influence_variance, no_interval, t_interval
from synthassay.metrics.nearest import nearest_rows
from synthassay.metrics.points import Features, centred_points
from synthassay.seeding import numpy_generator

AXES = 64
SAME_SQUARED = 1e-24  # of a squared norm: a squared distance under it is rounding
CELLS = 3
STARTS = 10
LEAST_SYNTHETIC = 20  # τ·m: a cell needs more
DEFINITION = (
    f"PCA-{AXES} of train, k-means {CELLS} cells, cells of more than {LEAST_SYNTHETIC} synthetic images, Mann-Whitney "
    "Z with 0.5 correction, weighted by test images"
)
HIGHER_IS_BETTER: bool | None = None
Sets = tuple[Matrix, Matrix, Matrix]  # training, test and synthetic rows


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell that counts: its images of the test and of the synthetic set, and its Z."""

    n_test: int
    n_synthetic: int
    z: float


@dataclass(frozen=True, slots=True)
class CT:
    """C_T (None where no cell counts), its cells, and in ``note`` the cells left out."""

    value: float | None
    standard_error: float | None
    units: int
    cells: tuple[Cell, ...]
    note: str = ""

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """t interval with units-1 degrees of freedom."""
        if self.value is None:
            return no_interval(self.note)
        if self.standard_error is None:
            return no_interval("an interval needs 2 patients of the test and of the synthetic set")
        return t_interval(
            self.value, self.standard_error, self.units, confidence, "Mann-Whitney projection by patient, train given"
        )


def c_t(
    train: Features, test: Features, synthetic: Features, *, test_units: ArrayLike | None = None,
    synthetic_units: ArrayLike | None = None, seed: int = 0,
) -> CT:  # fmt: skip
    """C_T of ``[m, d]`` synthetic features against ``[l, d]`` training and ``[n, d]`` test features.

    ``test_units``, ``synthetic_units``: patients of the rows (None: each row its own). ``seed`` starts k-means.
    """
    known = checked_rows("train", train, least=2)
    fresh = checked_rows("test", test, test_units, like=known)
    made = checked_rows("synthetic", synthetic, synthetic_units, like=known)
    projected = _principal(*(side.values.cpu().numpy() for side in (known, fresh, made)))
    return _statistic(projected, _cells(projected, seed), fresh, made)


def _principal(train: Matrix, test: Matrix, synthetic: Matrix) -> Sets:
    """The sets on the principal axes of ``train``, or as they are where they have no more columns than axes."""
    n, d = train.shape
    if d <= AXES:
        return train, test, synthetic
    fitted = PCA(min(AXES, n), svd_solver="covariance_eigh" if n > d else "full").fit(train)
    return fitted.transform(train), fitted.transform(test), fitted.transform(synthetic)


def _cells(sets: Sets, seed: int) -> list[NDArray[np.int64]]:
    """Cell of every row of the three sets."""
    fitted = _fitted(sets[0], seed)
    return [fitted.predict(part).astype(np.int64) for part in sets]


def _fitted(train: Matrix, seed: int) -> KMeans:
    """The cells; fewer than usual where the training rows are fewer points."""
    cells = min(CELLS, len(np.unique(train, axis=0)))
    start = int(numpy_generator("C_T cells", seed).integers(2**31))
    return KMeans(cells, n_init=STARTS, random_state=start).fit(train)


def _statistic(projected: Sets, cell_of: list[NDArray[np.int64]], fresh: Rows, made: Rows) -> CT:
    train, test, synthetic = projected
    left_out, cells, parts = [], [], []
    for cell in range(1 + int(max(codes.max() for codes in cell_of))):
        rows = [np.flatnonzero(codes == cell) for codes in cell_of]
        if reason := _why_not(*map(len, rows)):
            left_out.append(f"cell {cell + 1} is left out: {reason}")
            continue
        known = train[rows[0]]
        farther = _Comparison(_distances(synthetic[rows[2]], known), _distances(test[rows[1]], known))
        cells.append(Cell(len(rows[1]), len(rows[2]), farther.z))
        parts.append((rows[1], rows[2], farther))
    note, units = "; ".join(left_out), min(fresh.n_units, made.n_units)
    if not cells:
        return CT(None, None, units, (), note)
    weights = np.array([cell.n_test for cell in cells], np.float64)
    value = float(weights @ [cell.z for cell in cells] / weights.sum())
    if units < 2:
        return CT(value, None, units, tuple(cells), note)
    of_test, of_synthetic = np.zeros(len(fresh)), np.zeros(len(made))
    for (test_rows, synthetic_rows, farther), weight in zip(parts, weights / weights.sum(), strict=True):
        of_test[test_rows] = weight * farther.of_test() + (farther.z - value) / weights.sum()
        of_synthetic[synthetic_rows] = weight * farther.of_synthetic()
    variance = sum(influence_variance(part, side.units) for part, side in ((of_test, fresh), (of_synthetic, made)))
    return CT(value, math.sqrt(variance), units, tuple(cells), note)


def _distances(rows: Matrix, train: Matrix) -> Matrix:
    """To the nearest training row; 0 where the two are one point but for the rounding of the projection."""
    centre = train.mean(axis=0)
    made = centred_points("rows", rows, None, centre)
    squares = nearest_rows(made, centred_points("train", train, None, centre))[1].numpy()
    squares[squares < SAME_SQUARED * (rows * rows).sum(axis=1)] = 0.0
    return np.asarray(np.sqrt(squares))


def _why_not(n_train: int, n_test: int, n_synthetic: int) -> str:
    """Why a cell does not count; empty where it does."""
    if n_synthetic <= LEAST_SYNTHETIC:
        return f"{n_synthetic} synthetic images, more than {LEAST_SYNTHETIC} are needed"
    return "" if n_train and n_test else f"{n_train} training and {n_test} test images"


class _Comparison:
    """Mann-Whitney comparison of distances ``[m]`` of synthetic and ``[n]`` of test images, in one cell."""

    def __init__(self, synthetic: Matrix, test: Matrix) -> None:
        m, n = len(synthetic), len(test)
        self.m, self.n = m, n
        ranks = rankdata(np.concatenate([synthetic, test]))
        # Of each image, the images of the other side that it is farther than, ties half.
        self.beaten_by_synthetic = ranks[:m] - rankdata(synthetic)
        self.beaten_by_test = ranks[m:] - rankdata(test)
        self.excess = float(self.beaten_by_synthetic.sum()) - n * m / 2 + 0.5
        self.spread = math.sqrt(n * m * (n + m + 1) / 12)
        self.z = self.excess / self.spread

    def of_synthetic(self) -> Matrix:
        """Influence of each synthetic image on Z: it adds its pairs to U and one to m."""
        own = self.beaten_by_synthetic - self.n / 2
        return np.asarray(own / self.spread - self.z * (self.n + 2 * self.m + 1) / (2 * self.m * (self.n + self.m + 1)))

    def of_test(self) -> Matrix:
        """The same of each test image; the pairs in which the synthetic image is farther are those it does not beat."""
        own = self.m / 2 - self.beaten_by_test
        return np.asarray(own / self.spread - self.z * (self.m + 2 * self.n + 1) / (2 * self.n * (self.n + self.m + 1)))
