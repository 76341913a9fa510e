"""The autoencoder and how it learns: reconstruction, KL, and at the end a patch discriminator's verdict."""

from collections.abc import Mapping, Sequence

import torch
from monai.networks.nets.autoencoderkl import AutoencoderKL
from monai.networks.nets.patchgan_discriminator import PatchDiscriminator
from torch import Tensor, nn
from torch.optim import Optimizer

from synthassay.generators.conditioning.condition import Condition
from synthassay.generators.devices import place, seeded
from synthassay.generators.latent.specs import AutoencoderSpec
from synthassay.generators.networks.gaussians import kl_to_standard_normal
from synthassay.generators.networks.r3gan import image_end, stem
from synthassay.generators.training.learner import Average, Draws, Learner, Losses, Phase, adamw, followed, kept
from synthassay.seeding import derive_seed

Shape = tuple[int, ...]


class Autoencoder(nn.Module):
    """MONAI's ``AutoencoderKL`` at 1/patch of the size: ``[b, c, *s]``, standardised ↔ latents (:func:`latent_shape`).

    The patches overlap by half: pixels folded into channels came back with a grid over them after short trainings. It
    does not know the condition; the model of the latents does. It has no attention, whose memory grows with the
    square of the voxels.
    """

    def __init__(self, spec: AutoencoderSpec, channels: int, spatial_dims: int) -> None:
        super().__init__()
        width = spec.channels[0]
        self.from_image = stem(spatial_dims, channels, width, spec.patch)
        self.to_image = image_end(spatial_dims, width, channels, spec.patch)
        self.network = AutoencoderKL(
            spatial_dims=spatial_dims,
            in_channels=width,
            out_channels=width,
            num_res_blocks=spec.res_blocks,
            channels=spec.channels,
            attention_levels=[False] * len(spec.channels),
            latent_channels=spec.latent_channels,
            norm_num_groups=spec.norm_groups,
            with_encoder_nonlocal_attn=False,
            with_decoder_nonlocal_attn=False,
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each image's latent."""
        mean, deviation = self.network.encode(self.from_image(images))
        return mean.float(), deviation.float()

    def decode(self, latents: Tensor) -> Tensor:
        """The images of ``latents``."""
        images: Tensor = self.to_image(self.network.decode(latents))
        return images.float()


def latent_shape(spec: AutoencoderSpec, shape: Shape) -> Shape:
    """Shape of the latent of an image of ``shape``."""
    return (spec.latent_channels, *(side // spec.factor for side in shape[1:]))


def discriminator(spec: AutoencoderSpec, shape: Shape) -> PatchDiscriminator:
    """Images → one verdict for each of many overlapping patches. Its group normalisation sees each image alone."""
    return PatchDiscriminator(
        spatial_dims=len(shape) - 1, channels=spec.discriminator_width, in_channels=shape[0],
        num_layers_d=spec.discriminator_layers, norm=("group", {"num_groups": 8}),
    )  # fmt: skip


class AutoencoderLearner(Learner):
    """Both networks and the autoencoder's average; the losses of the two are least squares (Mao et al. 2017)."""

    def __init__(self, spec: AutoencoderSpec, shape: Shape, seed: int, device: torch.device) -> None:
        self.spec, self.shape = spec, shape
        made = seeded(lambda: Autoencoder(spec, shape[0], len(shape) - 1), derive_seed("autoencoder-weights", seed))
        self.autoencoder = place(made, device)
        self.averages: Sequence[Average] = followed(self.autoencoder, spec.training)
        modules: dict[str, nn.Module] = {"autoencoder": self.autoencoder}
        if spec.adversarial_weight:
            judge = seeded(lambda: discriminator(spec, shape), derive_seed("autoencoder-discriminator", seed))
            modules["discriminator"] = place(judge, device)
        self.optimisers: Mapping[str, Optimizer] = {
            name: adamw(module, spec.training) for name, module in modules.items()
        }
        self.modules: Mapping[str, nn.Module] = {**modules, **kept(self.averages)}

    def phases(self, step: int) -> Sequence[Phase]:
        """The autoencoder alone, and from ``adversarial_start`` on after the discriminator."""
        if not self.spec.adversarial_weight or step < self.spec.adversarial_start * self.spec.training.steps:
            return (Phase("autoencoder", self._noise, self._likeness),)
        return (
            Phase("discriminator", self._noise, self._discriminator_loss),
            Phase("autoencoder", self._noise, self._adversarial_loss),
        )

    def _noise(self, n: int, generator: torch.Generator) -> Draws:
        return (torch.randn((n, *latent_shape(self.spec, self.shape)), generator=generator, device=generator.device),)

    def _likeness(self, images: Tensor, condition: Condition, noise: Tensor) -> Losses:
        return self._compared(images, noise)[0]

    def _compared(self, images: Tensor, noise: Tensor) -> tuple[Losses, Tensor]:
        """reconstruction + kl_weight·KL / pixels, and the reconstruction itself."""
        mean, deviation = self.autoencoder.encode(images)
        again = self.autoencoder.decode(mean + noise * deviation)
        error = again - images
        reconstruction = error.abs().mean() if self.spec.reconstruction == "l1" else error.square().mean()
        kl = kl_to_standard_normal(mean, 2 * deviation.log()).mean() / images[0].numel()
        return Losses(reconstruction + self.spec.kl_weight * kl, {"reconstruction": reconstruction, "kl": kl}), again

    def _adversarial_loss(self, images: Tensor, condition: Condition, noise: Tensor) -> Losses:
        likeness, again = self._compared(images, noise)
        adversarial = (self._verdict(again) - 1).square().mean()
        descended = likeness.descended + self.spec.adversarial_weight * adversarial
        return Losses(descended, {**likeness.shown, "adversarial": adversarial})

    def _discriminator_loss(self, images: Tensor, condition: Condition, noise: Tensor) -> Losses:
        with torch.no_grad():
            mean, deviation = self.autoencoder.encode(images)
            again = self.autoencoder.decode(mean + noise * deviation)
        loss = ((self._verdict(images) - 1).square().mean() + self._verdict(again).square().mean()) / 2
        return Losses(loss, {"discriminator": loss})

    def _verdict(self, images: Tensor) -> Tensor:
        verdict: Tensor = self.modules["discriminator"](images)[-1].float()
        return verdict
