"""One NIfTI file, or pair of Analyze files → one volume in rescaled units."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synthassay.scans.limits import LimitSpec, check_inflated, check_ratio, check_size
from synthassay.scans.nifti.content import GZIP, beginning, damage_named, fill, inflated, stream_of
from synthassay.scans.nifti.header import LENGTH, Header, parse_header
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import AffineChoice, NotANumber, Volume, VolumeIndex

SUFFIXES = (".nii", ".nii.gz", ".hdr", ".hdr.gz")
IMAGE_OF = {".hdr": ".img", ".hdr.gz": ".img.gz"}
PIECE = 1 << 16  # voxels that are scaled at a time


@dataclass(frozen=True, slots=True)
class NiftiFile:
    """The bytes of one NIfTI file, or of a header file and its image."""

    content: bytes
    image: bytes | None = None

    def sha256(self) -> str:
        """Digest (hex) of all bytes."""
        digest = hashlib.sha256(self.content)
        digest.update(self.image or b"")
        return digest.hexdigest()


def suffix_of(path: str) -> str:
    """The one of :data:`SUFFIXES` that ``path`` ends with, in whatever case, or ``""``."""
    return next((suffix for suffix in SUFFIXES if path.lower().endswith(suffix)), "")


def image_path(path: str) -> str | None:
    """Where the voxels of the header file ``path`` lie; None for a file that holds both."""
    suffix = suffix_of(path)
    return path[: len(path) - len(suffix)] + IMAGE_OF[suffix] if suffix in IMAGE_OF else None


def header_path(path: str) -> str | None:
    """Where the header of the image file ``path`` lies; None for a file of another kind."""
    header_of = {image: header for header, image in IMAGE_OF.items()}
    suffix = next((suffix for suffix in header_of if path.lower().endswith(suffix)), "")
    return path[: len(path) - len(suffix)] + header_of[suffix] if suffix else None


def open_file(path: Path, limits: LimitSpec) -> NiftiFile:
    """The bytes of the ``.nii``, ``.nii.gz`` or ``.hdr`` file at ``path``. Raises :class:`Unreadable`."""
    check_size(path, limits)
    beside = image_path(str(path))
    if beside is None:
        return NiftiFile(path.read_bytes())
    image = Path(beside)
    if not image.is_file():
        raise Unreadable("file", "no image file", "the file with the voxels is not beside the header")
    check_size(image, limits)
    return NiftiFile(path.read_bytes(), image.read_bytes())


def read_volume(
    file: NiftiFile, limits: LimitSpec, index: VolumeIndex = None, affine: AffineChoice = "best",
    not_a_number: NotANumber | Literal["zero"] = "refuse",
) -> Volume:  # fmt: skip
    """The volume of a file in the order in which it is stored.

    Values are scaled by slope and intercept in double precision and rounded to float32 once. ``index`` chooses one
    volume of a series, or their mean. ``not_a_number``: voxels that are NaN are refused, or get the lowest value of the
    volume (``background``), or 0. Raises :class:`Unreadable`, always for infinite values.
    """
    with damage_named("header"):
        header = parse_header(beginning(file.content, LENGTH), limits, affine)
    if header.paired != (file.image is not None):
        raise Unreadable("magic", "another kind", "the header says that its voxels are in a file of another kind")
    values = _values(file.content if file.image is None else file.image, header, _chosen(header, index), limits)
    may_break = header.dtype.kind == "f" or header.scaling is not None
    filled = _fill(values, not_a_number) if may_break and not np.isfinite(values).all() else 0
    return Volume(values=values, affine=header.affine, placed=header.placed, disputed=header.disputed, filled=filled)


def _fill(values: NDArray[np.float32], how: str) -> int:
    """Put a number in the place of NaN; returns how many there were. Raises :class:`Unreadable`."""
    infinite, nowhere = int(np.isinf(values).sum()), np.isnan(values)
    count = int(nowhere.sum())
    if infinite:
        raise Unreadable("voxels", f"{infinite} of {values.size} are infinite", "holds infinite values")
    if count == values.size:
        raise Unreadable("voxels", "all are NaN", "no voxel is a number")
    if how == "refuse":
        reason = "holds NaN; cohort.not_a_number=background takes such voxels for background"
        raise Unreadable("voxels", f"{count} of {values.size} are NaN", reason)
    values[nowhere] = 0 if how == "zero" else values[~nowhere].min()
    return count


def _chosen(header: Header, index: VolumeIndex) -> range:
    """Numbers of the volumes to read: one, or all for their mean."""
    count = header.shape[3] if len(header.shape) > 3 else 1
    if index is None and count > 1:
        raise Unreadable("dim", f"{count} volumes", "a series of volumes; choose one with cohort.volume.index, or mean")
    if isinstance(index, int) and index >= count:
        raise Unreadable("dim", f"{count} volumes", "has no volume of the number cohort.volume.index")
    return range(count) if index == "mean" else range(index or 0, (index or 0) + 1)


def _values(content: bytes, header: Header, chosen: range, limits: LimitSpec) -> NDArray[np.float32]:
    """The chosen volume ``[x, y, z]``, of colours ``[x, y, z, 3]``, or the mean of several."""
    shape = (*header.shape, 1)[:3]
    count = math.prod(shape)
    start = header.offset + chosen.start * count * header.dtype.itemsize
    needed = start + len(chosen) * count * header.dtype.itemsize
    if content.startswith(GZIP):
        check_inflated(needed, limits)
        check_ratio(len(content), needed, limits)
    elif len(content) < needed:  # known before any memory is asked for
        raise Unreadable("voxels", "fewer than the header says", "the file is truncated or damaged")
    with damage_named("voxels"):
        if math.prod(header.shape) == count:
            stored = np.frombuffer(inflated(content, needed), header.dtype, count, header.offset)
            return _shaped(_scaled(stored, header), shape)
        return _shaped(_mean(_volumes(content, start, count, header, len(chosen)), len(chosen)), shape)


def _shaped(voxels: NDArray[np.float32], shape: Sequence[int]) -> NDArray[np.float32]:
    """``[n]`` or ``[n, 3]``, x first → ``[x, y, z]`` or ``[x, y, z, 3]``, a view."""
    return voxels.reshape(*shape[::-1], *voxels.shape[1:]).swapaxes(0, 2)


def _volumes(content: bytes, start: int, count: int, header: Header, several: int) -> Iterator[NDArray[np.float32]]:
    """Some volumes of a series, from the byte ``start`` on, of which one is in memory at a time."""
    stored = np.empty(count, header.dtype)
    with stream_of(content) as stream:
        stream.seek(start)
        for _ in range(several):
            fill(stream, stored.view(np.uint8).data)
            yield _scaled(stored, header)
        stream.read(1)  # at the end of compressed data this verifies their checksum


def _mean(volumes: Iterator[NDArray[np.float32]], several: int) -> NDArray[np.float32]:
    if several == 1:
        (volume,) = volumes
        return volume
    total = next(volumes).astype(np.float64)
    for volume in volumes:
        total += volume
    return (total / several).astype(np.float32)


def _scaled(stored: NDArray[Any], header: Header) -> NDArray[np.float32]:
    if header.dtype.names:
        return stored.view(np.uint8).reshape(len(stored), -1)[:, :3].astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 become infinite and are refused
        if header.scaling is None:
            return stored.astype(np.float32)
        slope, intercept = map(np.float64, header.scaling)
        values = np.empty(len(stored), np.float32)
        for start in range(0, len(values), PIECE):  # piece by piece, so that no volume of doubles is needed
            values[start : start + PIECE] = stored[start : start + PIECE] * slope + intercept
        return values
