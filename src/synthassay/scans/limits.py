"""What is refused before it is decoded, so that a damaged or hostile file cannot fill the memory."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthassay.scans.unreadable import Unreadable
from synthassay.specs import Spec

RATIO_COUNTS_FROM = 1 << 28  # bytes; what inflates to less cannot hurt, whatever its ratio


class LimitSpec(Spec):
    """What one file may take. The first six are checked before anything is decoded, the last two while it is."""

    kind: Literal["limits"] = "limits"
    file_mib: int = Field(default=4096, ge=1)
    voxels: int = Field(default=1 << 28, ge=1)  # rows x columns x frames x channels
    frames: int = Field(default=16384, ge=1)
    images: int = Field(default=1 << 20, ge=1)  # of one array in an array file
    header_mib: int = Field(default=64, ge=1)  # what stands before the pixels
    inflated_mib: int = Field(default=4096, ge=1)  # of what a compressed file holds
    gzip_ratio: int = Field(default=200, ge=1)  # inflated over compressed bytes, of what inflates to over 256 MiB
    seconds: int = Field(default=120, ge=1)
    memory_mib: int = Field(default=8192, ge=256)  # of the process that reads it


def check_size(path: Path, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` for a file of more than ``limits.file_mib``."""
    if path.stat().st_size > limits.file_mib << 20:
        raise Unreadable("file", "too large", "more than limits.file_mib")


def check_values(count: int, limits: LimitSpec, field: str) -> None:
    """Raises :class:`Unreadable` for a file that claims more than ``limits.voxels`` values."""
    if count > limits.voxels:
        raise Unreadable(field, f"{count} values", "more values than limits.voxels")


def check_frames(count: int, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` for a file that claims more than ``limits.frames`` frames, slices or pages."""
    if count > limits.frames:
        raise Unreadable("frames", str(count), "more than limits.frames")


def check_inflated(size: int, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` for content that inflates to more than ``limits.inflated_mib``."""
    if size > limits.inflated_mib << 20:
        raise Unreadable("file", f"{size >> 20} MiB or more when inflated", "more than limits.inflated_mib")


def check_ratio(compressed: int, inflated: int, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` where ``inflated`` bytes are too many for so few ``compressed`` ones."""
    if inflated > RATIO_COUNTS_FROM and inflated > limits.gzip_ratio * compressed:
        times = inflated // max(1, compressed)
        raise Unreadable("file", f"inflates {times} times", "more than limits.gzip_ratio")
