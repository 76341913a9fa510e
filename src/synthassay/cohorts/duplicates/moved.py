"""Copies that were shifted, cropped or given a margin, and mirrored or turned with that or not.

The images nearest to each by the amplitudes of their low frequencies, which hardly change when content moves, are laid
on it and compared by their pixels. Each image is compared with at most twelve, so time grows nearly in proportion to
their number: 34 s of one core for 10,000 images and 112 s for 30,000. Memory holds 3 kB of each.

Share of copies found at 64 x 64 pixels, of 200 for each number, encoded as JPEG of quality 60, under all eight turns:

==============================  ==========  ============  ============  ==========
patients, images                shift 3 px  margin 3 px   margin 6 px   crop 3 px
==============================  ==========  ============  ============  ==========
76, 2,608 brain slices (FLAIR)  0.89        0.86          0.81          0.86
3,247 lesions, 5,622 pictures   0.86        0.86          0.86          0.82
158, 5,666 hippocampus slices   1.00        1.00          1.00          1.00
==============================  ==========  ============  ============  ==========

White margins, and drawn chests as in ``tests/cohorts/duplicates/test_radiographs.py``, of 150 copies for each number:

==============================  ==========  ============  ============  ==========
patients, images                shift 3 px  white 3 px    white 6 px    crop 3 px
==============================  ==========  ============  ============  ==========
76, 2,608 brain slices (FLAIR)  0.80        0.69          0.70          0.79
3,245 lesions, 5,622 pictures   0.80        0.81          0.77          0.78
1,500, 1,500 drawn chests       0.87        1.00          0.99          0.35
==============================  ==========  ============  ============  ==========

Among these images themselves two pairs are found, of dermoscopies that show one lesion under two ids, none in 554 of
380 patients of the phantom, and none in 3,000 drawn chests, also where they differ so little that an image and the
nearest of another patient correlate by 0.99; of the 1,000 copies of brain slices three were also paired with another
patient's. What is missed has few details: the top of a head, a spot on even skin. Crops of a tenth of each side are
mostly missed too, of images that fill their frame also smaller ones. Real chest radiographs were not at hand.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts.duplicates.frames import framed
from synthassay.cohorts.duplicates.hashes import SIDE, Rows
from synthassay.cohorts.duplicates.pairs import Double
from synthassay.cohorts.duplicates.registration import WORTH, Agreement, Images, agreement, best_shift
from synthassay.cohorts.duplicates.spectra import Neighbours, Spectra, spectra_of, turned_spectra
from synthassay.cohorts.duplicates.turns import Turn
from synthassay.records import Progress
from synthassay.seeding import numpy_generator

SMALLEST = 32  # pixels a side of prepared images; smaller ones say too little to be laid on each other
BLOCK = 2048  # pairs compared at once
SAMPLE = 1000  # images whose usual agreement with the nearest of another patient is measured
CORRELATION, DETAIL = 0.98, 0.985  # at least, of doubles
OVERLAP = 0.6  # share of the frame that both show
SPREAD = 64  # pixels over which details are spread; a blob or one edge is like another
CLOSER_THAN_USUAL = 4
SPECTRAL = tuple(product((False, True), repeat=2))  # transposed, mirrored: what changes a spectrum


class Moved:
    """The frames of all images, block by block as they are read, and then the doubles among them."""

    def __init__(self) -> None:
        self._thumbs: list[NDArray[np.float16]] = []
        self._spectra: list[Spectra] = []

    def add(self, pixels: NDArray[np.float32]) -> None:
        """The next block ``[k, c, (d,) h, w]``."""
        thumbs = framed(pixels)
        self._thumbs.append(thumbs.astype(np.float16))
        self._spectra.append(spectra_of(thumbs))

    def doubles(
        self, rows: Rows, patients: NDArray[np.int64], workers: int, progress: Progress
    ) -> tuple[list[Double], float]:
        """Doubles among ``rows``, some perhaps twice, and the correlation of details from which on pairs are ones."""
        thumbs, spectra = np.concatenate(self._thumbs), np.concatenate(self._spectra)
        rows = rows[thumbs[rows].any(1)]
        if len(np.unique(patients[rows])) < 2:
            return [], DETAIL
        neighbours = Neighbours(spectra, rows, patients, workers)
        far, usual = _usual(thumbs, neighbours, spectra)
        threshold = max(DETAIL, 1 - (1 - usual) / CLOSER_THAN_USUAL**2)
        pairs: list[Double] = []
        progress.start("look for moved copies", len(SPECTRAL) * len(rows))
        for transposed, mirrored in SPECTRAL:
            turns = Turn(transposed, False, mirrored), Turn(transposed, True, not mirrored)
            near, done = _near(neighbours, turned_spectra(spectra, transposed, mirrored), far), 0
            for start in range(0, len(near), BLOCK):
                pairs += _confirmed(thumbs, near[start : start + BLOCK], turns, threshold)
                done, before = len(rows) * min(start + BLOCK, len(near)) // len(near), done
                progress.advance(done - before)
            progress.advance(len(rows) - done)
        progress.finish()
        return pairs, threshold


def _usual(thumbs: NDArray[np.float16], neighbours: Neighbours, spectra: Spectra) -> tuple[float, float]:
    """The usual squared distance of an image and the nearest of another patient, and how their details correlate."""
    first, second, apart = (np.concatenate(part) for part in zip(*neighbours.of(spectra), strict=True))
    if not len(first):  # each image's neighbours are its own patient's
        return 0.0, 0.0
    _, nearest = np.unique(first, return_index=True)  # neighbours of a row stand in order
    drawn = nearest[numpy_generator("moved doubles").permutation(len(nearest))[:SAMPLE]]
    found = agreement(_square(thumbs, first[drawn]), _square(thumbs, second[drawn]))
    return float(np.median(apart[nearest])), float(np.median(found.detail))


def _near(neighbours: Neighbours, spectra: Spectra, far: float) -> Rows:
    """Pairs ``[k, 2]`` of rows, the lower one first, that are no farther apart than is usual; each once."""
    found = [np.stack([first, second], 1)[apart <= far] for first, second, apart in neighbours.of(spectra)]
    pairs: Rows = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    return pairs


def _confirmed(thumbs: NDArray[np.float16], near: Rows, turns: tuple[Turn, Turn], threshold: float) -> list[Double]:
    """Doubles among pairs ``[k, 2]`` of rows, the second turned in one of two ways, whichever fits better."""
    first, second = near.T
    one = _square(thumbs, first)
    either = [turn.of(_square(thumbs, second)) for turn in turns]
    chosen = np.argmax([best_shift(one, other)[1] for other in either], axis=0)
    other = np.where(chosen[:, None, None] == 0, *either)
    found = agreement(one, other)
    same, close = _same(found, threshold), np.flatnonzero(found.correlation >= WORTH)
    # The other way round too: fitting smooths, as scaling did, and should smooth the sharper of the two.
    back = agreement(other[close], one[close])
    same[close] |= _same(back, threshold)
    best = found.correlation.copy()
    best[close] = np.maximum(best[close], back.correlation)
    return [
        Double(int(first[at]), int(second[at]), "near", turns[chosen[at]].name, True, min(1.0, float(best[at])))
        for at in np.flatnonzero(same)
    ]


def _same(found: Agreement, threshold: float) -> NDArray[np.bool_]:
    alike = (found.correlation >= CORRELATION) & (found.detail >= threshold)
    return alike & (found.overlap >= OVERLAP) & (found.spread >= SPREAD)


def _square(thumbs: NDArray[np.float16], rows: Rows) -> Images:
    return thumbs[rows].astype(np.float32).reshape(-1, SIDE, SIDE)
