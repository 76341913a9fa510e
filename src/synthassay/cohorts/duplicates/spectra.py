"""How strong each low frequency of an image is: nearly the same wherever in the frame its content lies."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from synthassay.cohorts.duplicates.hashes import SIDE, Rows

FREQUENCIES = 7  # along each axis
AXES = 16  # principal axes in which neighbours are sought
NEIGHBOURS = 16  # of an image, its patient's own images among them
KEPT = 3  # nearest ones of other patients
FITTED = 10_000  # images whose spectra the axes are fitted to
BLOCK = 4096
WINDOW = np.sin(np.pi * (np.arange(SIDE) + 0.5) / SIDE).astype(np.float32)

Spectra = NDArray[np.float32]  # [n, 2, 7, 7]


def spectra_of(thumbs: NDArray[np.float32]) -> Spectra:
    """``[k, 1024]`` thumbnails → ``[k, 2, 7, 7]``: roots of amplitudes, of frequencies (y, x) and (y, -x).

    Under a window that fades to the rims, so that what a shift pushes out of the frame hardly counts.
    """
    weights = np.outer(WINDOW, WINDOW)
    square = thumbs.reshape(-1, SIDE, SIDE)
    centred = square - (square * weights).sum((1, 2), keepdims=True) / weights.sum()
    amplitudes = np.abs(np.fft.fft2(centred * weights))
    amplitudes /= np.linalg.norm(amplitudes, axis=(1, 2), keepdims=True) + 1e-9
    other = np.roll(amplitudes[:, :, ::-1], 1, 2)  # of frequencies (y, -x)
    low = np.stack([amplitudes, other], 1)[:, :, :FREQUENCIES, :FREQUENCIES]
    roots: Spectra = np.sqrt(low).astype(np.float32)
    return roots


def turned_spectra(spectra: Spectra, transposed: bool, mirrored: bool) -> Spectra:
    """Spectra of the turned images. Images turned by half have the spectra of the images."""
    turned = spectra.swapaxes(2, 3) if transposed else spectra
    return turned[:, ::-1] if mirrored else turned


class Neighbours:
    """The nearest images of other patients by their spectra, sought in a k-d tree of their main directions."""

    def __init__(self, spectra: Spectra, rows: Rows, patients: NDArray[np.int64], workers: int) -> None:
        self._flat, self._rows = spectra.reshape(len(spectra), -1), rows
        self._patients, self._workers = patients, workers
        some = self._flat[rows[:: max(1, len(rows) // FITTED)]]
        self._centre = some.mean(0)
        self._axes = np.linalg.svd(some - self._centre, full_matrices=False)[2][:AXES].T
        self._tree = cKDTree((self._flat[rows] - self._centre) @ self._axes)

    def of(self, spectra: Spectra) -> Iterator[tuple[Rows, Rows, NDArray[np.float32]]]:
        """Blocks of (row, row of a neighbour, squared distance), for each of the rows at most three neighbours."""
        flat = spectra.reshape(len(spectra), -1)
        for start in range(0, len(self._rows), BLOCK):
            rows = self._rows[start : start + BLOCK]
            turned, count = (flat[rows] - self._centre) @ self._axes, min(NEIGHBOURS, len(self._rows))
            others = self._rows[self._tree.query(turned, np.arange(1, count + 1), eps=1, workers=self._workers)[1]]
            apart = np.square(self._flat[others] - flat[rows][:, None]).sum(2)
            apart[self._patients[others] == self._patients[rows][:, None]] = np.inf
            nearest = np.argsort(apart, axis=1)[:, :KEPT]
            apart = np.take_along_axis(apart, nearest, 1)
            found = np.isfinite(apart)
            neighbours = np.take_along_axis(others, nearest, 1)[found]
            yield np.broadcast_to(rows[:, None], found.shape)[found], neighbours, apart[found]
