"""Settings of the overfitted reference, a positive control for memorisation. Light: imports no torch."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from synthassay.generators.diffusion.family_specs import DiffusionSpec, EdmNoiseSpec
from synthassay.generators.specs import ConditionName, Name

if TYPE_CHECKING:
    from synthassay.generators.protocol import TrainedFamily


class OverfitSpec(DiffusionSpec):
    """EDM diffusion trained on a few images until it repeats them: a positive control for memorisation.

    It has to be flagged. It is sampled at its end, whatever validation says.
    """

    positive_control: ClassVar[bool] = True
    not_private: ClassVar[str] = "it is there to memorise"

    kind: Literal["overfit"] = "overfit"
    name: Name = "overfit"
    condition_on: tuple[ConditionName, ...] = ()  # the few images may lack what generator-train shows
    condition_dropout: float = Field(default=0.0, ge=0, lt=1)
    train_images: int = Field(default=8, ge=1)  # of generator-train, by whole patients as far as they fit
    noise: EdmNoiseSpec = EdmNoiseSpec()

    def build(self) -> "TrainedFamily":
        """The family that trains on a few images."""
        from synthassay.generators.overfit import OverfitFamily

        return OverfitFamily(self)
