"""How the GAN learns: the discriminator's update, then the generator's, both on augmented images."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from synthassay.generators.conditioning.condition import Condition
from synthassay.generators.devices import place
from synthassay.generators.gan.augment import Augmentation, draws_per_image
from synthassay.generators.gan.losses import gradient_penalty, relativistic_loss, separation
from synthassay.generators.gan.specs import GanSpec
from synthassay.generators.networks.r3gan import Discriminator, Generator
from synthassay.generators.training.learner import Average, Draws, Learner, Losses, Phase, adamw, followed, kept


class GanLearner(Learner):
    """Both networks, the generator's average, and the strength of the augmentation."""

    def __init__(self, spec: GanSpec, generator: Generator, discriminator: Discriminator, device: torch.device) -> None:
        self.spec, self.dims = spec, generator.basis.ndim - 1
        self.generator, self.discriminator = place(generator, device), place(discriminator, device)
        self.augmentation = Augmentation(spec.augmentation).to(device)
        self.averages: Sequence[Average] = followed(self.generator, spec.training)
        self.modules: Mapping[str, nn.Module] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "augmentation": self.augmentation,
            **kept(self.averages),
        }
        self.optimisers: Mapping[str, Optimizer] = {
            name: adamw(self.modules[name], spec.training) for name in ("generator", "discriminator")
        }

    def phases(self, step: int) -> Sequence[Phase]:
        """The discriminator's update, then the generator's, on the same real images and new latents."""
        beta2 = self._scheduled(self.spec.beta2_start, self.spec.training.beta2, step)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["betas"] = (self.spec.training.beta1, beta2)
        penalty = 0.0
        if step % self.spec.penalty_every == 0:
            penalty = self._scheduled(self.spec.gamma, self.spec.gamma_end, step) / 2 * self.spec.penalty_every
        return (
            Phase("discriminator", self._draws, partial(self._discriminator_loss, penalty=penalty)),
            Phase("generator", self._draws, self._generator_loss),
        )

    def after(self, step: int, shown: Mapping[str, Tensor]) -> None:
        """The strength of the augmentation follows the discriminator, the same in all processes."""
        if self.spec.augmentation.limit:
            self.augmentation.adapt(shown["separation"], self.spec.training.batch_size)

    def _scheduled(self, first: float, last: float, step: int) -> float:
        """From ``first`` to ``last`` along a cosine over the burn-in, as in R3GAN."""
        steps = self.spec.burn_in * self.spec.training.steps
        share = min(1.0, step / steps) if steps else 1.0
        return last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))

    def _draws(self, n: int, generator: torch.Generator) -> Draws:
        """Latents, and the numbers that the real and the generated images are augmented by."""
        device, numbers = generator.device, draws_per_image(self.dims)
        latent = torch.randn(n, self.spec.network.latent_size, generator=generator, device=device)
        augmenting = (torch.rand(n, numbers, generator=generator, device=device) for _ in range(2))
        return latent, *augmenting

    def _discriminator_loss(
        self, images: Tensor, condition: Condition, latent: Tensor, by_real: Tensor, by_fake: Tensor, *, penalty: float
    ) -> Losses:
        with torch.no_grad():
            fake = self.augmentation(self.generator(latent, condition), by_fake)
            real = self.augmentation(images, by_real)
        real, fake = real.detach().requires_grad_(penalty > 0), fake.detach().requires_grad_(penalty > 0)
        on_real, on_fake = self.discriminator(real, condition), self.discriminator(fake, condition)
        loss = relativistic_loss(on_real, on_fake)
        shown = {"discriminator": loss, "separation": separation(on_real, on_fake), "p": self.augmentation.p}
        if penalty:
            r1, r2 = gradient_penalty(real, on_real), gradient_penalty(fake, on_fake)
            loss = loss + penalty * (r1 + r2)
            shown |= {"r1": r1, "r2": r2}
        return Losses(loss, shown)

    def _generator_loss(
        self, images: Tensor, condition: Condition, latent: Tensor, by_real: Tensor, by_fake: Tensor
    ) -> Losses:
        fake = self.augmentation(self.generator(latent, condition), by_fake)
        on_fake = self.discriminator(fake, condition)
        with torch.no_grad():
            on_real = self.discriminator(self.augmentation(images, by_real), condition)
        loss = relativistic_loss(on_fake, on_real)
        return Losses(loss, {"generator": loss})
