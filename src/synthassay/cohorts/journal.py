"""What was read so far, file by file, so that a killed run goes on where it was.

``journal.jsonl`` has one line for each file that was read, by its number among the sources: no path, no identifier.
Pixels lie in ``pixels-N.f32`` (rows of ``[c, (d,) h, w]`` float32) and masks, where they are kept, in ``masks-N.u8``
(rows of ``[(d,) h, w]`` uint8), one for each process that read some, and only ever grow. The digests of images and
masks say whether the rows that a line names are whole, also after a loss of power.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from synthassay.cohorts.planes import digest
from synthassay.cohorts.sources import FileImages, Image, Plane, Source
from synthassay.records import Quarantined
from synthassay.scans.findings import Finding
from synthassay.whole_files import write_whole

Part = Literal["pixels", "masks"]
FILES: dict[Part, tuple[str, type[np.generic]]] = {"pixels": ("f32", np.float32), "masks": ("u8", np.uint8)}
JOURNAL, KEY = "journal.jsonl", "reading.key"
BLOCK, BLOCK_BYTES = 256, 1 << 28  # at most so many images are in memory at once when they are read again


@dataclass(slots=True)
class PixelFile:
    """The pixels, and the masks that are kept, which one process has read. Files are made with the first image."""

    folder: Path
    number: int = 0
    rows: int = 0
    _stream: IO[bytes] | None = None
    _masks: IO[bytes] | None = None

    def append(self, images: FileImages) -> tuple[int, int]:
        """Add the images of one file; returns the number of the file of pixels and the row of the first image."""
        if self._stream is None:
            self._stream = self._open()
            self._masks = None if images.masks is None else _part_path(self.folder, "masks", self.number).open("wb")
        row = self.rows
        _write(self._stream, images.pixels, "pixels")
        if self._masks is not None and images.masks is not None:
            _write(self._masks, images.masks, "masks")
        self.rows += len(images.pixels)
        return self.number, row

    def _open(self) -> IO[bytes]:
        while True:
            try:
                return _part_path(self.folder, "pixels", self.number).open("xb")
            except FileExistsError:  # of another process, or of an earlier run
                self.number += 1


def _write(stream: IO[bytes], array: NDArray[Any], part: Part) -> None:
    stream.write(np.ascontiguousarray(array, FILES[part][1]).data)
    stream.flush()


def _part_path(folder: Path, part: Part, number: int) -> Path:
    return folder / f"{part}-{number}.{FILES[part][0]}"


@dataclass(slots=True)
class Journal:
    """The answers of an earlier call that still hold, and those of this one."""

    folder: Path
    shape: tuple[int, ...]  # of an image: [c, (d,) h, w]
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def opened(cls, folder: Path, key: str, shape: tuple[int, ...]) -> Self:
        """The journal in ``folder``; empty where ``key``, which stands for files and settings, is another one."""
        marker = folder / KEY
        if folder.exists() and (not marker.exists() or marker.read_text() != key):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(marker, key.encode())
        journal = cls(folder, shape)
        journal._recall()
        return journal

    def _recall(self) -> None:
        path = self.folder / JOURNAL
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        maps = PixelMaps(self.folder, self.shape)
        masks = PixelMaps(self.folder, self.shape[1:], "masks")
        for line in lines:
            if not line.endswith(b"\n"):
                break  # the process was killed while it wrote
            answer = json.loads(line)
            if _holds(answer, maps, masks):
                self.answers[answer["file"]] = answer
        write_whole(path, b"".join(map(_line, self.answers.values())))

    def record(self, answers: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[int]:
        """Write answers (file number, facts) down as they come; yields the file numbers."""
        with (self.folder / JOURNAL).open("ab", buffering=0) as stream:
            for number, facts in answers:
                self.answers[number] = {"file": number, **facts}
                stream.write(_line(self.answers[number]))
                yield number

    def described(self, sources: Sequence[Source]) -> tuple[list[Image], list[Quarantined]]:
        """Images in the order of ``sources``, then of the slices; and the files that are not used."""
        images: list[Image] = []
        refused: list[Quarantined] = []
        for number, source in enumerate(sources):
            answer = self.answers[number]
            if "refused" in answer:
                found = dict(zip(("field", "found", "reason"), answer["refused"], strict=True))
                refused.append(Quarantined(path=source.path, **found))
                continue
            images += [
                Image(source=source, plane=_plane(plane), sha256=answer["sha256"], chunk=answer["chunk"],
                      row=answer["row"] + place, carried=frozenset(Finding(*found) for found in answer["carried"]))
                for place, plane in enumerate(answer["planes"])
            ]  # fmt: skip
        return images, refused


def facts_of(images: FileImages, where: tuple[int, int]) -> dict[str, Any]:
    """What the journal keeps of a file that was read; its pixels lie at ``where`` (file, row)."""
    chunk, row = where
    return {"sha256": images.sha256, "chunk": chunk, "row": row, "planes": [asdict(plane) for plane in images.planes],
            "carried": sorted(images.carried)}  # fmt: skip


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode() + b"\n"


def _plane(facts: dict[str, Any]) -> Plane:
    spacing = facts["spacing_mm"]
    return Plane(**{**facts, "spacing_mm": tuple(spacing) if spacing else None})


def _holds(answer: dict[str, Any], pixels: "PixelMaps", masks: "PixelMaps") -> bool:
    if "refused" in answer:
        return True
    where, planes = (answer["chunk"], answer["row"], len(answer["planes"])), answer["planes"]
    return _whole(pixels.rows(*where), [plane["digest"] for plane in planes]) and (
        planes[0]["mask_digest"] is None or _whole(masks.rows(*where), [plane["mask_digest"] for plane in planes])
    )


def _whole(rows: NDArray[Any], digests: Sequence[str]) -> bool:
    return len(rows) == len(digests) and all(digest(row) == said for row, said in zip(rows, digests, strict=True))


@dataclass(slots=True)
class PixelMaps:
    """The files of pixels of a folder, or of masks, as read-only memory maps; ``shape`` is of one image or mask."""

    folder: Path
    shape: tuple[int, ...]
    part: Part = "pixels"
    _maps: dict[int, NDArray[Any]] = field(default_factory=dict)

    def rows(self, number: int, row: int, count: int) -> NDArray[Any]:
        """``[count, *shape]`` of file ``number`` from ``row`` on; fewer where the file ends before."""
        if number not in self._maps:
            self._maps[number] = self._map(_part_path(self.folder, self.part, number))
        return self._maps[number][row : row + count]

    def blocks(self, images: Sequence[Image]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """The pixels or masks of ``images`` some at a time: where they stand in ``images``, and ``[k, *shape]``."""
        step = max(1, min(BLOCK, BLOCK_BYTES // (4 * int(np.prod(self.shape)))))
        for start in range(0, len(images), step):
            some = images[start : start + step]
            block = np.concatenate([self.rows(image.chunk, image.row, 1) for image in some])
            yield slice(start, start + len(some)), block

    def _map(self, path: Path) -> NDArray[Any]:
        dtype = np.dtype(FILES[self.part][1])
        bytes_each = dtype.itemsize * int(np.prod(self.shape))
        count = path.stat().st_size // bytes_each if path.exists() else 0
        if not count:
            return np.empty((0, *self.shape), dtype)
        # As a plain array: slices of np.memmap itself cost several times as much.
        return np.asarray(np.memmap(path, dtype, "r", shape=(count, *self.shape)))
