"""Settings of the networks."""

from typing import Literal, Self

from pydantic import Field, model_validator

from synthassay.specs import Spec


class LevelsSpec(Spec):
    """What every U-Net is asked for: its levels, on images folded by ``patch``."""

    patch: Literal[1, 2, 4] = 2  # 2 folds 2×2 pixels (2×2×2 voxels) into channels: 64×64 runs at 32×32
    channels: tuple[int, ...] = Field(default=(24, 48, 96), min_length=1)  # per level, finest first, each half the last
    res_blocks: tuple[int, ...] = (1, 1, 1)  # per level in the encoder; the decoder has one more
    attention: tuple[bool, ...] = (False, False, True)
    head_channels: int = Field(default=16, ge=1)

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        levels = len(self.channels)
        if len(self.res_blocks) != levels or len(self.attention) != levels:
            raise ValueError(f"channels has {levels} levels, res_blocks {len(self.res_blocks)} and attention "
                             f"{len(self.attention)}; give each the same number")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        attending = [*self.attention[:-1], True]  # the middle block, at the last level, always attends
        heads = [width for width, attends in zip(self.channels, attending, strict=True) if attends]
        if any(width % self.head_channels for width in heads):
            raise ValueError(f"channels={heads} of the levels that attend must be multiples of head_channels="
                             f"{self.head_channels}")  # fmt: skip
        return self

    @property
    def multiple(self) -> int:
        """Every side of an image must be a multiple of this."""
        return int(self.patch * 2 ** (len(self.channels) - 1))


class UNetSpec(LevelsSpec):
    """MONAI's ``DiffusionModelUNet``."""

    kind: Literal["unet"] = "unet"
    norm_groups: int = Field(default=8, ge=1)
    time_scale: float = Field(default=1000.0, gt=0)  # of ln(sigma)/4, or of t in 0 to 1, for MONAI's embedding

    @model_validator(mode="after")
    def _groups_divide(self) -> Self:
        if any(width % self.norm_groups for width in self.channels):
            raise ValueError(f"channels={list(self.channels)} must be multiples of norm_groups={self.norm_groups}")
        return self


class MagnitudePreservingSpec(LevelsSpec):
    """EDM2's magnitude-preserving U-Net, configuration G (Karras et al. 2024)."""

    kind: Literal["edm2-network"] = "edm2-network"

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if min(self.channels) < 1 or min(self.res_blocks) < 1:
            raise ValueError(
                f"channels={list(self.channels)} and res_blocks={list(self.res_blocks)} must be at least 1"
            )
        return self
