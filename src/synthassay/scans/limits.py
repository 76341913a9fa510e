"""What is refused before it is decoded, so that a damaged or hostile file cannot fill the memory."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthassay.scans.unreadable import Unreadable
from synthassay.specs import Spec

RATIO_COUNTS_FROM = 1 << 28  # bytes; what inflates to less cannot hurt, whatever its ratio


class LimitSpec(Spec):
    """What is refused before it is decoded, so that a damaged or hostile file cannot fill the memory."""

    kind: Literal["limits"] = "limits"
    file_mib: int = Field(default=4096, ge=1)
    voxels: int = Field(default=1 << 28, ge=1)  # of one file: rows x columns x frames x channels
    gzip_ratio: int = Field(default=200, ge=1)  # inflated over compressed bytes, of what inflates to over 256 MiB


def check_size(path: Path, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` for a file of more than ``limits.file_mib``."""
    if path.stat().st_size > limits.file_mib << 20:
        raise Unreadable("file", "too large", "more than cohort.limits.file_mib")


def check_values(count: int, limits: LimitSpec, field: str) -> None:
    """Raises :class:`Unreadable` for a file that claims more than ``limits.voxels`` values."""
    if count > limits.voxels:
        reason = "more values than cohort.limits.voxels (of an external set: generator.max_values)"
        raise Unreadable(field, f"{count} values", reason)


def check_ratio(compressed: int, inflated: int, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` where ``inflated`` bytes are too many for so few ``compressed`` ones."""
    if inflated > RATIO_COUNTS_FROM and inflated > limits.gzip_ratio * compressed:
        raise Unreadable(
            "file", f"inflates {inflated // max(1, compressed)} times", "more than cohort.limits.gzip_ratio"
        )
