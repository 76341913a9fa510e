"""What is refused before it is decoded, so that a damaged or hostile file cannot fill the memory."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthassay.scans.unreadable import Unreadable
from synthassay.specs import Spec


class LimitSpec(Spec):
    """What is refused before it is decoded, so that a damaged or hostile file cannot fill the memory."""

    kind: Literal["limits"] = "limits"
    file_mib: int = Field(default=4096, ge=1)
    voxels: int = Field(default=1 << 28, ge=1)  # of one file: rows x columns x frames x channels
    images: int = Field(default=1 << 20, ge=1)  # of one array in an array file


def check_size(path: Path, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` for a file of more than ``limits.file_mib``."""
    if path.stat().st_size > limits.file_mib << 20:
        raise Unreadable("file", "too large", "more than cohort.limits.file_mib")


def check_values(count: int, limits: LimitSpec, field: str) -> None:
    """Raises :class:`Unreadable` for a file that claims more than ``limits.voxels`` values."""
    if count > limits.voxels:
        reason = "more values than cohort.limits.voxels (of an external set: generator.max_values)"
        raise Unreadable(field, f"{count} values", reason)
