"""What a double is."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Double:
    """Two images of different patients (rows, the first is the lower one) that are one image.

    ``turn`` says how the one is mirrored or turned against the other, ``moved`` whether it is shifted or cropped, or
    has another margin.
    """

    first: int
    second: int
    kind: Literal["exact", "near"]
    turn: str = ""
    moved: bool = False
    correlation: float = 1.0

    @property
    def change(self) -> str:
        """What was done to the one to get the other, in words; empty for nothing that moves its content."""
        return " and ".join(part for part in (self.turn, "shifted or cropped" if self.moved else "") if part)


@dataclass(frozen=True, slots=True)
class Doubles:
    """The pairs found. Of several copies of one image each is paired with the next, so k copies give k - 1 pairs;
    moved copies may give more.

    ``usual``: the median correlation of an image with the nearest one of another patient, NaN with one patient.
    ``threshold``: pairs that are close by hash are near doubles from this correlation on.
    ``moved_threshold``: so are pairs laid on each other, from this correlation of their details on; NaN where images
    are too small for it.
    """

    pairs: tuple[Double, ...]
    usual: float
    threshold: float
    moved_threshold: float = float("nan")
