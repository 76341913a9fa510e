"""Headers and pixels of many files, each in a process that it cannot take the run down with."""

import hashlib
import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthassay.cohorts import array_files, dicom_sources, nifti, photographs
from synthassay.cohorts.carried import Carried
from synthassay.cohorts.journal import Journal, PixelFile, facts_of
from synthassay.cohorts.sources import FileImages, Image, Source
from synthassay.cohorts.specs import CohortSpec, DicomSpec, ImagesSpec
from synthassay.records import Progress, Quarantined
from synthassay.scans.dicom.files import open_header
from synthassay.scans.limits import check_size
from synthassay.scans.pool import Pool, explained, worker_count
from synthassay.scans.unreadable import Unreadable
from synthassay.specs import Resources, digest_of

VERSION = 10  # of the readers: raise it when a reader gives other pixels
READERS = {"dicom": dicom_sources.read_images, "nifti": nifti.read_images, "images": photographs.read_images}


def read_headers(root: Path, paths: Sequence[str], spec: DicomSpec | ImagesSpec, resources: Resources,
                 progress: Progress) -> tuple[list[Source], list[Quarantined], dict[str, Carried]]:  # fmt: skip
    """Headers of DICOM files or of array files in the order of ``paths``, files that are not used, and by path what
    any DICOM file carries.

    They are read again after a kill: they name patients, so nothing of them is kept on the disk.
    """
    progress.start("read headers", len(paths))
    pool = Pool(_HeaderReader(root, spec), worker_count(resources), spec.limits)
    answers: list[list[Source] | Unreadable] = [[] for _ in paths]
    carried: dict[str, Carried] = {}
    alike: dict[Carried, Carried] = {}  # files of a series carry the same, which then is held once
    for index, answer in pool.answers(paths):
        answers[index], found = (answer, None) if isinstance(answer, Unreadable) else answer
        if found is not None:
            carried[paths[index]] = alike.setdefault(found, found)
        progress.advance()
    progress.finish()
    rows = [answer.row(path) for path, answer in zip(paths, answers, strict=True) if isinstance(answer, Unreadable)]
    return [source for answer in answers if isinstance(answer, list) for source in answer], rows, carried


@dataclass(frozen=True, slots=True)
class _HeaderReader:
    root: Path
    spec: DicomSpec | ImagesSpec

    def __call__(self, path: str) -> tuple[list[Source] | Unreadable, Carried | None]:
        carried = None
        try:
            if not isinstance(self.spec, DicomSpec):
                return array_files.describe(self.root, path, self.spec), None
            dataset = open_header(self.root / path, self.spec.limits)
            carried = dicom_sources.carried_by(dataset, path)
            return [dicom_sources.source_of(dataset, path, self.spec)], carried
        except BaseException as error:
            return explained(error), carried


def read_pixels(root: Path, sources: Sequence[Source], spec: CohortSpec, folder: Path, resources: Resources,
                progress: Progress) -> tuple[list[Image], list[Quarantined]]:  # fmt: skip
    """Pixels of all files into ``folder``; images in the order of ``sources``, then of the slices.

    What an earlier, interrupted call with the same settings and files has read is used again.
    """
    journal = Journal.opened(folder, _reading_key(root, sources, spec), (spec.channels, *spec.image_shape))
    todo = [number for number in range(len(sources)) if number not in journal.answers]
    pool = Pool(_PixelReader(root, spec, PixelFile(folder)), worker_count(resources), spec.limits)
    answers = ((todo[index], _as_facts(answer)) for index, answer in pool.answers([sources[i] for i in todo]))
    progress.start("read scans", len(sources), len(sources) - len(todo))
    for _ in journal.record(answers):
        progress.advance()
    progress.finish()
    return journal.described(sources)


def _as_facts(answer: dict[str, Any] | Unreadable) -> dict[str, Any]:
    if isinstance(answer, Unreadable):
        return {"refused": [answer.field, answer.found, answer.reason]}  # paths may hold ids
    return answer


def _reading_key(root: Path, sources: Sequence[Source], spec: CohortSpec) -> str:
    parts = [
        (s.path, *s.parts, s.mask, *(_modified(root / path) for path in (*s.parts, s.mask) if path)) for s in sources
    ]
    asked = {"size", "channels", "fit", "limits", "slices", "window", "label", "masks", "units", "dimensions",
             "volume", "deidentification", "not_a_number"}  # fmt: skip
    reading = spec.model_dump(mode="json", include=asked)
    return digest_of([VERSION, spec.kind, reading, hashlib.sha256(repr(parts).encode()).hexdigest()])


def _modified(path: Path) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:  # gone since it was found; its reader says so
        return None


@dataclass(frozen=True, slots=True)
class _PixelReader:
    root: Path
    spec: CohortSpec
    pixels: PixelFile  # each worker's copy opens a file of its own

    def warm_up(self) -> None:
        """Import what volumes are resampled and cropped with, which takes seconds."""
        rules = self.spec.volume
        if self.spec.dimensions == 3 or rules.spacing_mm is not None or rules.oblique == "resample":
            importlib.import_module("monai.transforms")

    def __call__(self, source: Source) -> dict[str, Any] | Unreadable:
        try:
            images = _read_file(self.root, source, self.spec)
        except BaseException as error:
            return explained(error)
        return facts_of(images, self.pixels.append(images))


def _read_file(root: Path, source: Source, spec: CohortSpec) -> FileImages:
    for path in (source.on_disk, source.mask):
        if path:
            check_size(root / path, spec.limits)
    read = array_files.read_images if source.array else READERS[spec.kind]
    return read(root, source, spec)
