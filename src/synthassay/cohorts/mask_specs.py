"""Settings of the masks that are kept beside the images."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from synthassay.records import UNKNOWN_MASK
from synthassay.specs import Spec

BACKGROUND = "background"
ClassName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]{0,63}$")]


class MaskSpec(Spec):
    """Whether each image keeps its mask, and what the values of a mask mean.

    The masks are those that ``label.mask`` describes, and of the phantom what it knows of its anatomy. They are brought
    to the grid of the prepared image by nearest neighbour, so that what is smaller than a pixel of it may be lost.
    Class 0 is the background; ``names`` are those of the classes 1, 2, ..., and ``values`` what stands for each in the
    source (nothing given: 1, 2, ..., and with at most one name everything above 0). Other values are background.
    The mask of a scan that has none is unknown.
    """

    kind: Literal["masks"] = "masks"
    keep: bool = False
    names: tuple[ClassName, ...] = Field(default=(), max_length=UNKNOWN_MASK - 1)
    values: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(), max_length=UNKNOWN_MASK - 1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.names)) != len(self.names) or len(set(self.values)) != len(self.values):
            raise ValueError("masks.names and masks.values must not repeat an entry")
        if self.names and self.values and len(self.names) != len(self.values):
            raise ValueError(f"masks.values has {len(self.values)} entries and masks.names {len(self.names)}; "
                             "give one value for each name")  # fmt: skip
        if BACKGROUND in self.names:
            raise ValueError(f"masks.names: class 0 is the {BACKGROUND} already; name the others only")
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class index, the background first."""
        return (BACKGROUND, *(self.names or tuple(map(str, self.values)) or ("mask",)))

    @property
    def class_values(self) -> tuple[int, ...]:
        """The value of each class from 1 on; empty where everything above 0 is one class."""
        return self.values or (tuple(range(1, len(self.names) + 1)) if len(self.names) > 1 else ())
