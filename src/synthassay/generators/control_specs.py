"""Settings of the controls: sets made from real images without training. Light: no array library is imported."""

from typing import Literal, Self

from pydantic import Field, model_validator

from synthassay.specs import Spec

CopyKind = Literal["exact", "mirrored", "rotated", "noise", "jpeg"]


class ControlSpec(Spec):
    """Base of every control. ``name`` is what tables and plots show."""

    name: str = Field(min_length=1)


class OracleSpec(ControlSpec):
    """Real images of the control patients: what a perfect generator would give."""

    kind: Literal["oracle"] = "oracle"
    name: str = "oracle"


class CopycatSpec(ControlSpec):
    """A memoriser: copies of generator-train images.

    With ``base="generator-train"`` every image is a training image: ``share`` of them altered by ``kinds`` in equal
    parts, the rest exact. With ``base="control"`` the set is the oracle, in which exactly ``share`` of the images,
    rounded to a whole number, are replaced by copies; a detector should find that share and no more.
    """

    kind: Literal["copycat"] = "copycat"
    name: str = "copycat"
    base: Literal["generator-train", "control"] = "generator-train"
    share: float = Field(1.0, ge=0, le=1)
    kinds: tuple[CopyKind, ...] = Field(("exact", "mirrored", "rotated", "noise"), min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError(f"kinds={list(self.kinds)} names a kind twice; name each once")
        return self


class BlendSpec(ControlSpec):
    """Averages of two neighbouring training images: a memoriser that a Fréchet distance takes for a good generator."""

    kind: Literal["blend"] = "blend"
    name: str = "blend"
    weight_low: float = Field(0.4, gt=0, lt=1)  # weight of the first image, drawn between the two for each average
    weight_high: float = Field(0.6, gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.weight_low > self.weight_high:
            raise ValueError(f"weight_low={self.weight_low} must not be above weight_high={self.weight_high}")
        return self


class NoiseSpec(ControlSpec):
    """Independent Gaussian pixels with generator-train's mean and deviation: the worst that a generator can do."""

    kind: Literal["noise"] = "noise"
    name: str = "noise"
