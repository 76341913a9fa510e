"""Reading files in chunks that are kept, so that a killed run goes on where it was.

Chunk ``i`` is ``chunk-i.npy`` (``[k, c, size, size]`` float32) and ``chunk-i.json`` (what each file gave), written in
that order, each whole or absent; the JSON file marks the chunk as done.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts import array_files, dicom_sources, nifti, photographs
from synthassay.cohorts.parallel import ordered_map, worker_count
from synthassay.cohorts.sources import FileImages, Image, Plane, Source
from synthassay.cohorts.specs import CohortSpec, DicomSpec
from synthassay.records import Progress, Quarantined
from synthassay.scans.limits import check_size
from synthassay.scans.unreadable import Unreadable
from synthassay.specs import Resources, digest_of

VERSION = 1  # of the readers: raise it when a reader gives other pixels
FILES_PER_CHUNK = {"dicom": 128, "nifti": 4, "images": 256}
HEADERS_PER_TASK = 256
READERS = {"dicom": dicom_sources.read_images, "nifti": nifti.read_images, "images": photographs.read_images}


@dataclass(frozen=True, slots=True)
class _Chunk:
    root: Path
    folder: Path
    number: int
    sources: tuple[Source, ...]
    spec: CohortSpec


@dataclass(frozen=True, slots=True)
class _Headers:
    root: Path
    paths: tuple[str, ...]
    spec: DicomSpec


def write_whole(path: Path, write: Callable[[IO[bytes]], object], mode: int = 0o666) -> None:
    """Let ``write(stream)`` fill a temporary file, flush it to the disk and rename it to ``path``."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    # What a killed process or somebody else left there has its own mode, or is a link to another file.
    temporary.unlink(missing_ok=True)
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_headers(root: Path, paths: Sequence[str], spec: DicomSpec, resources: Resources,
                 progress: Progress) -> tuple[list[Source], list[Quarantined]]:  # fmt: skip
    """Headers of DICOM files in the order of ``paths``, and files that are not used."""
    tasks = [_Headers(root, tuple(paths[i : i + HEADERS_PER_TASK]), spec)
             for i in range(0, len(paths), HEADERS_PER_TASK)]  # fmt: skip
    progress.start("read headers", len(paths))
    sources: list[Source] = []
    refused: list[Quarantined] = []
    for task, answers in zip(tasks, ordered_map(_headers, tasks, worker_count(resources)), strict=True):
        sources += [answer for answer in answers if isinstance(answer, Source)]
        refused += [answer for answer in answers if isinstance(answer, Quarantined)]
        progress.advance(len(task.paths))
    progress.finish()
    return sources, refused


def _headers(task: _Headers) -> list[Source | Quarantined]:
    answers: list[Source | Quarantined] = []
    for path in task.paths:
        try:
            answers.append(dicom_sources.read_source(task.root, path, task.spec))
        except Unreadable as error:
            answers.append(error.row(path))
        except (OSError, MemoryError) as error:
            answers.append(_not_opened(path, error))
    return answers


def _not_opened(path: str, error: OSError | MemoryError) -> Quarantined:
    if isinstance(error, MemoryError):
        return Quarantined(path=path, field="file", found="too large", reason="the memory does not suffice to read it")
    return Quarantined(path=path, field="file", found=error.strerror or type(error).__name__,
                       reason="the file cannot be read")  # fmt: skip


def read_pixels(root: Path, sources: Sequence[Source], spec: CohortSpec, folder: Path, resources: Resources,
                progress: Progress) -> tuple[list[Image], list[Quarantined]]:  # fmt: skip
    """Pixels of all files into chunks in ``folder``; images in the order of ``sources``, then of the slices.

    Chunks of an earlier, interrupted call with the same settings and the same files are used again.
    """
    step = FILES_PER_CHUNK[spec.kind]
    chunks = [_Chunk(root, folder, i // step, tuple(sources[i : i + step]), spec)
              for i in range(0, len(sources), step)]  # fmt: skip
    _prepare_folder(folder, _reading_key(root, sources, spec))
    todo = [chunk for chunk in chunks if not _facts_path(folder, chunk.number).exists()]
    progress.start("read scans", len(sources), len(sources) - sum(len(chunk.sources) for chunk in todo))
    for chunk, _ in zip(todo, ordered_map(_read_chunk, todo, worker_count(resources)), strict=True):
        progress.advance(len(chunk.sources))
    progress.finish()
    images: list[Image] = []
    refused: list[Quarantined] = []
    for chunk in chunks:
        for answer in _described(chunk):
            (refused if isinstance(answer, Quarantined) else images).append(answer)  # type: ignore[arg-type]
    return images, refused


def _reading_key(root: Path, sources: Sequence[Source], spec: CohortSpec) -> str:
    parts = [(s.path, s.mask, *((root / p).stat().st_mtime_ns for p in (s.on_disk, s.mask) if p)) for s in sources]
    reading = spec.model_dump(mode="json", include={"size", "channels", "fit", "limits", "slices", "window", "label"})
    return digest_of([VERSION, spec.kind, reading, hashlib.sha256(repr(parts).encode()).hexdigest()])


def _prepare_folder(folder: Path, key: str) -> None:
    marker = folder / "reading.key"
    if folder.exists() and (not marker.exists() or marker.read_text() != key):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(marker, lambda stream: stream.write(key.encode()))


def _facts_path(folder: Path, number: int) -> Path:
    return folder / f"chunk-{number:06d}.json"


def _read_chunk(chunk: _Chunk) -> None:
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # it reports every repaired header on stderr
    answers: list[dict[str, Any]] = []
    blocks: list[NDArray[np.float32]] = []
    for source in chunk.sources:
        answer = _read_file(chunk.root, source, chunk.spec)
        if isinstance(answer, Quarantined):
            answers.append({"refused": [answer.field, answer.found, answer.reason]})  # paths may hold ids
            continue
        blocks.append(answer.pixels)
        answers.append({"sha256": answer.sha256, "planes": [asdict(plane) for plane in answer.planes]})
    size = chunk.spec.size
    pixels = np.concatenate(blocks) if blocks else np.empty((0, chunk.spec.channels, size, size), np.float32)
    write_whole(chunk_path(chunk.folder, chunk.number), lambda stream: np.save(stream, pixels, allow_pickle=False))
    text = json.dumps(answers).encode()
    write_whole(_facts_path(chunk.folder, chunk.number), lambda stream: stream.write(text))


def _read_file(root: Path, source: Source, spec: CohortSpec) -> FileImages | Quarantined:
    try:
        for path in (source.on_disk, source.mask):
            if path:
                check_size(root / path, spec.limits)
        read = array_files.read_images if source.array else READERS[spec.kind]
        return read(root, source, spec)
    except Unreadable as error:
        return error.row(source.path)
    except (OSError, MemoryError) as error:
        return _not_opened(source.path, error)


def _described(chunk: _Chunk) -> Iterable[Image | Quarantined]:
    row = 0
    answers = json.loads(_facts_path(chunk.folder, chunk.number).read_text())
    for source, answer in zip(chunk.sources, answers, strict=True):
        if "refused" in answer:
            field, found, reason = answer["refused"]
            yield Quarantined(path=source.path, field=field, found=found, reason=reason)
            continue
        for plane in answer["planes"]:
            spacing = plane.pop("spacing_mm")
            yield Image(source=source, plane=Plane(**plane, spacing_mm=tuple(spacing) if spacing else None),
                        sha256=answer["sha256"], chunk=chunk.number, row=row)  # fmt: skip
            row += 1


def chunk_path(folder: Path, number: int) -> Path:
    """Where the pixels of a chunk lie."""
    return folder / f"chunk-{number:06d}.npy"


def pixel_blocks(folder: Path, images: Sequence[Image]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The pixels of ``images`` chunk by chunk: where they stand in ``images``, and ``[k, c, size, size]`` float32."""
    start = 0
    while start < len(images):
        stop = start
        while stop < len(images) and images[stop].chunk == images[start].chunk:
            stop += 1
        pixels = np.load(chunk_path(folder, images[start].chunk), mmap_mode="r", allow_pickle=False)
        yield slice(start, stop), pixels[[image.row for image in images[start:stop]]]
        start = stop
