"""The ground truth beside the phantom's images: one table, and arrays in its row order."""

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthassay.cohorts.phantom.dicom_writer import Slice
from synthassay.cohorts.phantom.scene import Scene
from synthassay.scans.unreadable import Unreadable
from synthassay.whole_files import put_in_place, replacing, write_whole

FOLDER = "truth"  # beside the DICOM folder
TABLE, NOISE_FREE, MASKS, STRUCTURES = "truth.parquet", "noise_free.npy", "masks.npy", "structures.npy"
ARRAYS = {NOISE_FREE: np.float32, MASKS: np.uint8, STRUCTURES: np.uint8}
LABELS = "labels.csv"  # inside the DICOM folder: what a hospital would send along with the files


def truth_row(image: Slice, scene: Scene) -> dict[str, object]:
    """One row of the truth.

    ``file`` is relative to the DICOM folder; ``lesion`` says whether this image shows the lesion, ``patient_lesion``
    whether the patient has it; the centre is in pixels (row, column; the first pixel's centre is 0), NaN without one.
    """
    patient = image.patient
    return {
        "file": image.path, "sop_uid": str(image.sop_uid), "study_uid": str(image.study_uid),
        "patient": patient.patient_id, "study": image.study.number, "site": patient.site.name,
        "institution": patient.site.institution, "device": f"{image.device.manufacturer} {image.device.model}",
        "sex": patient.sex, "age": int(image.study.age), "slice_mm": image.study.offsets_mm[image.index],
        "lesion": not math.isnan(scene.radius_px), "patient_lesion": patient.lesion,
        "centre_row": scene.centre[0], "centre_col": scene.centre[1], "radius_px": scene.radius_px,
        "ventricle_mm2": scene.ventricle_mm2,
    }  # fmt: skip


class TruthWriter:
    """Collects the truth of ``n`` images of ``size`` pixels a side and writes it in one step at the end."""

    def __init__(self, folder: Path, n: int, size: int) -> None:
        self._folder = folder
        self._rows: list[dict[str, object]] = []
        self._arrays = {
            name: np.lib.format.open_memmap(self._map(name), mode="w+", dtype=dtype, shape=(n, size, size))
            for name, dtype in ARRAYS.items()
        }

    def add(self, image: Slice, scene: Scene) -> None:
        """The next image."""
        row = len(self._rows)
        self._arrays[NOISE_FREE][row] = scene.signal
        self._arrays[MASKS][row] = scene.mask
        self._arrays[STRUCTURES][row] = scene.structures
        self._rows.append(truth_row(image, scene))

    def _map(self, name: str) -> Path:
        return self._folder / f".{name}.tmp"

    def commit(self, labels: Path) -> None:
        """Write arrays, the label table at ``labels``, and last the truth's table, whose presence says complete."""
        for name, array in self._arrays.items():
            array.flush()
            put_in_place(self._map(name), self._folder / name)
        table = pd.DataFrame(self._rows)
        given = table[["file", "lesion"]].assign(lesion=table["lesion"].astype(np.int64))
        write_whole(labels, given.to_csv(index=False, lineterminator="\n").encode())
        with replacing(self._folder / TABLE) as temporary:
            table.to_parquet(temporary, index=False)


def is_complete(folder: Path, dicom: Path, files: Sequence[str]) -> bool:
    """Whether an earlier call wrote the whole truth and every one of ``files`` under ``dicom``."""
    written = all((folder / name).is_file() for name in (TABLE, *ARRAYS)) and (dicom / LABELS).is_file()
    return written and all((dicom / file).is_file() for file in files)


def structures_beside(dicom: Path) -> str | None:
    """The path of the structures relative to the DICOM folder; None where that is no folder of a phantom."""
    truth = dicom / ".." / FOLDER
    return f"../{FOLDER}/{STRUCTURES}" if all((truth / name).is_file() for name in (TABLE, STRUCTURES)) else None


def structures_of(dicom: Path, file: str) -> NDArray[np.float32]:
    """``[h, w]``: the structures in one image, numbered as in :data:`~synthassay.cohorts.phantom.scene.STRUCTURES`.

    Raises :class:`Unreadable` for an image that the truth does not list.
    """
    truth = (dicom / ".." / FOLDER).resolve()
    row = _rows(truth).get(file)
    if row is None:
        raise Unreadable("mask", "absent", "the phantom's truth does not list the file")
    return np.asarray(np.load(truth / STRUCTURES, mmap_mode="r", allow_pickle=False)[row], np.float32)


@lru_cache(maxsize=1)
def _rows(truth: Path) -> dict[str, int]:
    files = pd.read_parquet(truth / TABLE, columns=["file"])["file"]
    return {file: row for row, file in enumerate(files.tolist())}
