"""The eight ways in which a square image can be mirrored and turned by quarters."""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Turn:
    """Rows and columns are exchanged first, then each axis is reversed where that is said."""

    transposed: bool = False
    up_down: bool = False
    left_right: bool = False

    def of(self, images: NDArray[Scalar]) -> NDArray[Scalar]:
        """``[..., s, s]`` → the same, turned; a view."""
        turned: NDArray[Any] = images.swapaxes(-1, -2) if self.transposed else images
        return turned[..., :: -1 if self.up_down else 1, :: -1 if self.left_right else 1]

    @property
    def name(self) -> str:
        """What was done to an image, in words; empty for nothing."""
        return NAMES[self]


NAMES = {
    Turn(): "",
    Turn(left_right=True): "mirrored left-right",
    Turn(up_down=True): "mirrored up-down",
    Turn(up_down=True, left_right=True): "turned by half",
    Turn(transposed=True, left_right=True): "turned by a quarter",
    Turn(transposed=True, up_down=True): "turned by a quarter",
    Turn(transposed=True): "mirrored and turned by a quarter",
    Turn(transposed=True, up_down=True, left_right=True): "mirrored and turned by a quarter",
}
TURNS = tuple(NAMES)
