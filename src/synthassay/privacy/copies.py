"""The adaptive copy ratio: how much nearer an image is to one training patient than to the next few."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from synthassay.metrics.intervals import unit_codes
from synthassay.privacy.spaces import Space

_TILE = 1 << 24  # distances held at once (64 MiB)
_SMALLEST_RATIO = 1e-6  # an exact copy has ratio 0, whose logarithm must stay finite


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyScores:
    """How alike each image of one set is to its nearest training patient; every column is ``[n]``.

    ``scores``: lower is more alike. From :meth:`TrainIndex.score` it is the copy ratio, in [0, 1]; from
    :func:`joint_scores` a standardised one. ``rows``: the nearest training image, as a row of the training space.
    ``mirrored``: whether it matched as its mirror image. ``train_patients``: its patient, numbered by first appearance.
    ``ratios``: the copy ratio, and ``members`` the space it was measured in, as a position (0 for one space).
    """

    scores: NDArray[np.float64]
    rows: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    train_patients: NDArray[np.int64]
    ratios: NDArray[np.float64]
    members: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)


class TrainIndex:
    """Training images (and their mirror images) sorted by patient and centred, ready to be searched.

    ``mirrored`` holds the mirror image of row i in row i. Centring on the training mean shortens the vectors, which
    keeps the float32 expansion |q - t|^2 = |q|^2 + |t|^2 - 2 q.t accurate.
    """

    def __init__(self, train: Space, mirrored: Space | None) -> None:
        if mirrored is not None and mirrored.vectors.shape != train.vectors.shape:
            raise ValueError(f"mirrored train is {mirrored.vectors.shape}, train is {train.vectors.shape}")
        patients = unit_codes(train.patients)  # by first appearance: another pseudonym key changes nothing
        self._order = np.argsort(patients, kind="stable")
        self._patients = patients[self._order]
        self._starts = np.flatnonzero(np.r_[True, np.diff(self._patients) > 0]) if len(patients) else patients
        self._mean = train.vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        sides = (train,) if mirrored is None else (train, mirrored)
        self._sides = tuple(np.ascontiguousarray(side.vectors[self._order] - self._mean) for side in sides)
        self._norms = tuple(_squared_norms(side) for side in self._sides)

    @property
    def n_patients(self) -> int:
        """How many training patients can be told apart."""
        return len(self._starts)

    def score(self, query: Space, neighbours: int) -> CopyScores:
        """The copy ratio of every row of ``query``.

        ratio = d_1 / mean(d_2 .. d_(neighbours + 1)), where d_j is the distance to the j-th nearest training *patient*
        and a patient is as near as the nearest of its images, mirrored or not. It is 1 where even the next patients
        are at distance 0 (empty images). Costs 2 * n * n_train * d multiplications a side, in tiles of 64 MiB.
        Raises ``ValueError`` with fewer than ``neighbours + 1`` training patients.
        """
        if self.n_patients <= neighbours:
            raise ValueError(f"{self.n_patients} training patients, but the ratio needs {neighbours + 1}")
        step = max(1, _TILE // len(self._order))
        tiles = [self._score_tile(query.vectors[i : i + step], neighbours) for i in range(0, len(query), step)]
        ratio, column, flipped = (
            np.concatenate([tile[part] for tile in tiles]) if tiles else np.empty(0, kind)
            for part, kind in enumerate((np.float64, np.int64, np.bool_))
        )
        return CopyScores(
            scores=ratio, rows=self._order[column], mirrored=flipped, train_patients=self._patients[column],
            ratios=ratio, members=np.zeros(len(ratio), np.int64),
        )  # fmt: skip

    def _score_tile(
        self, vectors: NDArray[np.float32], neighbours: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
        centred = vectors - self._mean
        squared = self._squared_distances(centred, 0)
        flipped: NDArray[np.bool_] | None = None
        if len(self._sides) > 1:
            other = self._squared_distances(centred, 1)
            flipped = other < squared
            np.minimum(squared, other, out=squared)
        column = squared.argmin(axis=1)
        by_patient = np.minimum.reduceat(squared, self._starts, axis=1)
        nearest = np.partition(by_patient, neighbours, axis=1)[:, : neighbours + 1]
        distances = np.sqrt(np.sort(nearest, axis=1).astype(np.float64))
        scale = distances[:, 1:].mean(axis=1)
        ratio = np.divide(distances[:, 0], scale, out=np.ones(len(vectors)), where=scale > 0)
        matched = np.zeros(len(vectors), np.bool_) if flipped is None else flipped[np.arange(len(vectors)), column]
        return ratio, column, matched

    def _squared_distances(self, centred: NDArray[np.float32], side: int) -> NDArray[np.float32]:
        squared: NDArray[np.float32] = centred @ self._sides[side].T
        squared *= -2.0
        squared += _squared_norms(centred)[:, None]
        squared += self._norms[side]
        return np.maximum(squared, 0.0, out=squared)


def _squared_norms(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    norms: NDArray[np.float32] = np.einsum("ij,ij->i", rows, rows)
    return norms


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the log ratio of honest images lies in one space: its median, and how far below it the alarms begin."""

    median: float
    spread: float

    @classmethod
    def of(cls, control: CopyScores, false_alarms: float) -> Self:
        """The scale of a control set, so that each space alone would flag about ``false_alarms`` of it below -1."""
        logs = np.log(np.maximum(control.scores, _SMALLEST_RATIO))
        median = float(np.median(logs))
        return cls(median, max(median - float(np.quantile(logs, false_alarms)), _SMALLEST_RATIO))

    def standardise(self, ratios: NDArray[np.float64]) -> NDArray[np.float64]:
        """(log ratio - median) / spread."""
        scaled: NDArray[np.float64] = (np.log(np.maximum(ratios, _SMALLEST_RATIO)) - self.median) / self.spread
        return scaled


def joint_scores(parts: tuple[CopyScores, ...], scales: tuple[Scale, ...]) -> CopyScores:
    """One score from several spaces: the most alarming of the standardised log ratios, and the match behind it.

    A threshold on it flags an image that is near enough to a patient in *any* space, at one joint rate of false
    alarms, without the power that splitting the rate between the spaces would cost.
    """
    standard = np.stack([scale.standardise(part.scores) for part, scale in zip(parts, scales, strict=True)])
    best = standard.argmin(axis=0)
    images = np.arange(standard.shape[1])
    return CopyScores(
        scores=standard[best, images],
        rows=np.stack([part.rows for part in parts])[best, images],
        mirrored=np.stack([part.mirrored for part in parts])[best, images],
        train_patients=np.stack([part.train_patients for part in parts])[best, images],
        ratios=np.stack([part.scores for part in parts])[best, images],
        members=best,
    )


def threshold_below(control: NDArray[np.float64], false_alarms: float) -> float:
    """The score under which an image is flagged, from ``control`` ``[n]``: an order statistic that errs to caution.

    It is the j-th smallest control score with j = floor(false_alarms * (n + 1)), so that a new honest image scores
    strictly below it with probability j / (n + 1) <= false_alarms. With too few images for j = 1 it is the smallest
    score, whose rate is 1 / (n + 1). Raises ``ValueError`` on an empty control.
    """
    if not len(control):
        raise ValueError("a threshold needs at least one control image")
    rank = max(1, int(np.floor(false_alarms * (len(control) + 1) + 1e-9)))
    return float(np.partition(control, rank - 1)[rank - 1])
