"""What is refused before it is decoded, so that a damaged or hostile file cannot fill the memory."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthassay.scans.unreadable import Unreadable
from synthassay.specs import Spec


class LimitSpec(Spec):
    """What one file may take. The first five are checked before anything is decoded, the last two while it is."""

    kind: Literal["limits"] = "limits"
    file_mib: int = Field(default=4096, ge=1)
    voxels: int = Field(default=1 << 28, ge=1)  # rows x columns x frames x channels
    frames: int = Field(default=16384, ge=1)
    header_mib: int = Field(default=64, ge=1)  # what stands before the pixels
    inflated_mib: int = Field(default=4096, ge=1)  # of what a compressed file holds
    seconds: int = Field(default=120, ge=1)
    memory_mib: int = Field(default=8192, ge=256)  # of the process that reads it


def check_size(path: Path, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` for a file of more than ``limits.file_mib``."""
    if path.stat().st_size > limits.file_mib << 20:
        raise Unreadable("file", "too large", "more than cohort.limits.file_mib")


def check_values(count: int, limits: LimitSpec, field: str) -> None:
    """Raises :class:`Unreadable` for a file that claims more than ``limits.voxels`` values."""
    if count > limits.voxels:
        reason = "more values than cohort.limits.voxels (of an external set: generator.max_values)"
        raise Unreadable(field, f"{count} values", reason)


def check_frames(count: int, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` for a file that claims more than ``limits.frames`` frames, slices or pages."""
    if count > limits.frames:
        raise Unreadable("frames", str(count), "more than cohort.limits.frames")


def check_inflated(size: int, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` for content that inflates to more than ``limits.inflated_mib``."""
    if size > limits.inflated_mib << 20:
        raise Unreadable("file", f"{size >> 20} MiB or more when inflated", "more than cohort.limits.inflated_mib")
