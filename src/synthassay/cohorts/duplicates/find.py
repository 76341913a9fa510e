"""Which images of different patients are the same: equal pixel by pixel, close by hash and by correlation, or the same
when laid on each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts.duplicates.hashes import SIDE, Hashes, Rows, close_pairs, hashes_of, thumbnails
from synthassay.cohorts.duplicates.moved import SMALLEST, Moved
from synthassay.cohorts.duplicates.pairs import Double, Doubles
from synthassay.cohorts.duplicates.turns import TURNS, Turn
from synthassay.cohorts.journal import PixelMaps
from synthassay.cohorts.sources import Image
from synthassay.records import Progress
from synthassay.seeding import numpy_generator

SAMPLE = 1000  # images whose nearest image of another patient is sought in the whole cohort
LEAST_CORRELATION = 0.99
CLOSER_THAN_USUAL = 4  # a copy lies at a quarter of the distance at which other patients usually lie, or nearer


def find_doubles(images: Sequence[Image], maps: PixelMaps, workers: int, progress: Progress) -> Doubles:
    """Doubles across patients among ``images``, whose pixels ``maps`` holds. Images of one value are left out.

    Nearly equal ones are found under all eight turns; what is shifted or cropped as well, by :class:`Moved`.

    The correlation of a near double must be at least 0.99, and so high that the two images, as standardised 32 × 32
    pixels, lie at a quarter or less of the usual distance between an image and the nearest one of another patient:
    images of some cohorts are all alike.
    """
    patients = np.unique([image.source.patient for image in images], return_inverse=True)[1]
    moved = Moved() if min(maps.shape[-2:]) >= SMALLEST else None
    hashes, plain, usual = _measured(images, maps, patients, moved, progress)
    threshold = max(LEAST_CORRELATION, 1 - (1 - usual) / CLOSER_THAN_USUAL**2) if usual == usual else LEAST_CORRELATION
    _, different, digests = np.unique([image.plane.digest for image in images], return_index=True, return_inverse=True)
    rows = np.flatnonzero(~plain)
    pairs = [Double(i, j, "exact") for i, j in _chained(digests, patients, rows)]
    for turn in TURNS:
        first, second = _candidates(hashes, patients, rows, turn)
        fresh = digests[first] != digests[second] if not turn.name else np.ones(len(first), np.bool_)
        pairs += _confirmed(images, maps, first[fresh], second[fresh], turn, threshold)
    if moved is None:
        return Doubles(tuple(_best(pairs)), usual, threshold)
    found, detail = moved.doubles(np.sort(different), patients, workers, progress)
    return Doubles(tuple(_best([*pairs, *found])), usual, threshold, detail)


def _measured(
    images: Sequence[Image], maps: PixelMaps, patients: NDArray[np.int64], moved: Moved | None, progress: Progress
) -> tuple[Hashes, NDArray[np.bool_], float]:
    """Hash of each image, which images hold one value, and the usual correlation with the nearest other patient."""
    drawn = np.sort(numpy_generator("doubles").permutation(len(images))[:SAMPLE])
    sample = _thumbnails_at(images, maps, drawn)
    nearest = np.full(len(drawn), -np.inf)
    hashes, plain = [], []
    progress.start("compare images", len(images))
    for where, block in maps.blocks(images):
        thumbs = thumbnails(block)
        hashes.append(hashes_of(thumbs))
        plain.append(~thumbs.any(1))
        if moved is not None:
            moved.add(block)
        others = np.where(patients[drawn][:, None] == patients[where][None], -np.inf, sample @ thumbs.T)
        nearest = np.maximum(nearest, others.max(1))
        progress.advance(len(block))
    progress.finish()
    compared = nearest[np.isfinite(nearest) & sample.any(1)]
    usual = float(np.median(compared)) if len(compared) else float("nan")
    return np.concatenate(hashes), np.concatenate(plain), usual


def _thumbnails_at(images: Sequence[Image], maps: PixelMaps, rows: Rows) -> NDArray[np.float32]:
    return np.concatenate([thumbnails(block) for _, block in maps.blocks([images[row] for row in rows])])


def _chained(codes: NDArray[np.int64], patients: NDArray[np.int64], rows: Rows) -> list[tuple[int, int]]:
    """Of the ``rows`` with one code, each paired with the next of another patient."""
    order = rows[np.argsort(codes[rows], kind="stable")]
    before, after = order[:-1], order[1:]
    linked = (codes[before] == codes[after]) & (patients[before] != patients[after])
    return list(zip(before[linked].tolist(), after[linked].tolist(), strict=True))


def _candidates(hashes: Hashes, patients: NDArray[np.int64], rows: Rows, turn: Turn) -> tuple[Rows, Rows]:
    """Pairs of different patients that are close by hash; images of one hash are chained, not all paired."""
    unique, first_of, code = np.unique(hashes[rows], axis=0, return_index=True, return_inverse=True)
    near, far = close_pairs(unique, turn)
    first, second = rows[first_of[near]], rows[first_of[far]]
    if not turn.name:
        codes = np.full(len(hashes), -1, np.int64)
        codes[rows] = code.ravel()
        chained = np.array(_chained(codes, patients, rows), np.int64).reshape(-1, 2)
        first, second = np.concatenate([first, chained[:, 0]]), np.concatenate([second, chained[:, 1]])
    other = patients[first] != patients[second]
    return np.minimum(first, second)[other], np.maximum(first, second)[other]


def _confirmed(
    images: Sequence[Image], maps: PixelMaps, first: Rows, second: Rows, turn: Turn, threshold: float
) -> list[Double]:
    if not len(first):
        return []
    needed, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    thumbs = _thumbnails_at(images, maps, needed)
    square = thumbs.reshape(-1, SIDE, SIDE)
    correlation = np.einsum("kij,kij->k", square[places[: len(first)]], turn.of(square[places[len(first) :]]))
    return [
        Double(int(i), int(j), "near", turn.name, correlation=min(1.0, float(r)))
        for i, j, r in zip(first, second, correlation, strict=True)
        if r >= threshold
    ]


def _best(pairs: Sequence[Double]) -> list[Double]:
    """One entry for each pair of images: equal before similar, in place before moved, then the most similar."""
    best: dict[tuple[int, int], Double] = {}
    for pair in sorted(pairs, key=lambda pair: (pair.kind != "exact", pair.moved, -pair.correlation)):
        best.setdefault((pair.first, pair.second), pair)
    return sorted(best.values(), key=lambda pair: (pair.first, pair.second))
