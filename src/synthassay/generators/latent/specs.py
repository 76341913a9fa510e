"""Settings of the latent families: an autoencoder, and a diffusion or flow model of its latents."""

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from synthassay.generators.diffusion.family_specs import (
    DiffusionSpec,
    EdmNoiseSpec,
    EdmSpec,
    FlowNoiseSpec,
    FlowSpec,
)
from synthassay.generators.diffusion.specs import FLOW_SAMPLING, SamplingSpec
from synthassay.generators.specs import Name, TrainingSpec
from synthassay.specs import Spec

if TYPE_CHECKING:
    from synthassay.generators.protocol import TrainedFamily


class AutoencoderSpec(Spec):
    """MONAI's ``AutoencoderKL`` at 1/``patch`` of the size, with a patch discriminator for the end of its training.

    There is no perceptual loss: its networks would have to be downloaded.
    """

    kind: Literal["autoencoder"] = "autoencoder"
    patch: Literal[1, 2, 4] = 2  # the network works at 1/patch of the images' size, in patches that overlap by half
    channels: tuple[int, ...] = Field(default=(16, 32), min_length=1)  # per level, finest first, each half the last
    res_blocks: int = Field(default=1, ge=1)  # per level
    norm_groups: int = Field(default=8, ge=1)
    latent_channels: int = Field(default=4, ge=1)
    reconstruction: Literal["l1", "l2"] = "l1"
    kl_weight: float = Field(default=1e-4, ge=0)  # of the KL to N(0, I) in nats a pixel: keeps latents near the origin
    adversarial_weight: float = Field(default=0.02, ge=0)  # of the discriminator's verdict; 0: no discriminator
    adversarial_start: float = Field(default=0.5, ge=0, le=1)  # share of the steps before it joins in
    discriminator_width: int = Field(default=16, ge=8, multiple_of=8)  # channels of its first layer
    discriminator_layers: int = Field(default=2, ge=1)  # each halves the image
    training: TrainingSpec = TrainingSpec(snapshots=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(width % self.norm_groups for width in self.channels):
            raise ValueError(f"channels={list(self.channels)} must be multiples of norm_groups={self.norm_groups}")
        return self

    @property
    def factor(self) -> int:
        """How many pixels of an image, along each side, are one of its latent."""
        return int(self.patch * 2 ** (len(self.channels) - 1))


class LatentSpec(DiffusionSpec):
    """Base of the families that learn latents. ``network`` and ``training`` are those of the model of the latents.

    With ``init_from``, a finished training of the same family, its autoencoder is kept as it is, with the scales of its
    images and latents, and only the model of the latents learns. A private training takes place in this way alone.
    """

    autoencoder: AutoencoderSpec = AutoencoderSpec()

    @model_validator(mode="after")
    def _public_autoencoder(self) -> Self:
        if self.private is not None and self.init_from is None:
            kind = self.to_key()["kind"]
            raise ValueError(f"private={self.private.kind} covers the model of the latents; the autoencoder has to "
                             f"come from images that need no protection.\nTrain {kind} on a public cohort or the "
                             f"phantom (synthassay train cohort=phantom generator={kind}), and give that training with "
                             "generator.init_from=RUN")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _unclipped(self) -> Self:
        if self.sampling.clip:
            raise ValueError("sampling.clip=true: a latent has no range to keep to; set it to false")
        return self

    def of_latents(self, family: type[DiffusionSpec]) -> dict[str, Any]:
        """What the settings of the model of the latents, a ``family``, share with these."""
        return {name: getattr(self, name) for name in family.model_fields if name != "kind"}


class LatentEdmSpec(LatentSpec):
    """EDM diffusion in the latent of an autoencoder (Rombach et al. 2022, arXiv 2112.10752)."""

    kind: Literal["latent_edm"] = "latent_edm"
    name: Name = "latent_edm"
    noise: EdmNoiseSpec = EdmNoiseSpec()

    def build(self) -> "TrainedFamily":
        """The latent family around EDM."""
        from synthassay.generators.edm import EdmFamily
        from synthassay.generators.latent.family import LatentFamily

        return LatentFamily(self, EdmFamily(EdmSpec(**self.of_latents(EdmSpec))))


class LatentFlowSpec(LatentSpec):
    """Rectified flow in the latent of an autoencoder (Rombach et al. 2022, arXiv 2112.10752)."""

    kind: Literal["latent_flow"] = "latent_flow"
    name: Name = "latent_flow"
    noise: FlowNoiseSpec = FlowNoiseSpec()
    sampling: SamplingSpec = FLOW_SAMPLING

    def build(self) -> "TrainedFamily":
        """The latent family around rectified flow."""
        from synthassay.generators.flow import FlowFamily
        from synthassay.generators.latent.family import LatentFamily

        return LatentFamily(self, FlowFamily(FlowSpec(**self.of_latents(FlowSpec))))
