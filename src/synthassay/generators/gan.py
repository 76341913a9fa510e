"""A GAN with the regularised relativistic loss of R3GAN (Huang et al. 2024, arXiv 2501.05441)."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from synthassay.errors import UserError
from synthassay.generators.devices import autocast, place, seeded
from synthassay.generators.family import Family, Shape, size_message
from synthassay.generators.gan_networks import Discriminator, Generator
from synthassay.generators.sampling import Draw
from synthassay.generators.specs import GanSpec
from synthassay.generators.training import Pace, descend, step_generator
from synthassay.seeding import derive_seed


def relativistic_loss(better: Tensor, worse: Tensor) -> Tensor:
    """E[softplus(−(better − worse))] over pairs of logits ``[b]`` (section 2 of the paper, with f(t) = −log(1 + e^−t)).

    The discriminator minimises it with real as the better one, the generator with fake: each pair is compared, so a
    generator that serves only part of the data cannot win by moving every fake to one side of a boundary.
    """
    return functional.softplus(worse - better).mean()


def gradient_penalty(images: Tensor, logits: Tensor) -> Tensor:
    """Zero-centred penalty E|∇ₓ D(x)|² ``[]`` at ``images``: R1 on real ones, R2 on generated ones."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().square().flatten(1).sum(1).mean()


class GanLearner:
    """Both networks, the generator's average, and one update of each a step."""

    def __init__(
        self, spec: GanSpec, generator: Generator, discriminator: Discriminator, seed: int, device: torch.device
    ) -> None:
        self.spec, self.seed, self.device = spec, seed, device
        self.generator, self.discriminator = place(generator, device), place(discriminator, device)
        average = copy.deepcopy(self.generator).requires_grad_(False)
        self.modules: Mapping[str, nn.Module] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": average,
        }
        self.averages: Sequence[tuple[nn.Module, nn.Module]] = ((average, self.generator),)
        self.optimisers: Mapping[str, Optimizer] = {
            name: Adam(self.modules[name].parameters(), lr=spec.training.learning_rate, betas=(0.0, 0.99), fused=True)
            for name in ("generator", "discriminator")
        }

    def update(self, images: Tensor, classes: Tensor, step: int) -> Mapping[str, Tensor]:
        """The discriminator's update, then the generator's, on the same real images and new latents."""
        noise = step_generator(self.seed, step, self.device)
        shape = (2, len(images), self.spec.network.latent_size)
        latents = torch.randn(shape, generator=noise, device=self.device)
        losses = self._update_discriminator(images, classes, latents[0], step)
        return losses | self._update_generator(images, classes, latents[1])

    def _update_discriminator(self, images: Tensor, classes: Tensor, latent: Tensor, step: int) -> dict[str, Tensor]:
        spec = self.spec
        with autocast(self.device, spec.training.precision):
            with torch.no_grad():
                fake = self.generator(latent, classes)
            penalised = step % spec.penalty_every == 0
            real, fake = images.detach().requires_grad_(penalised), fake.detach().requires_grad_(penalised)
            on_real, on_fake = self.discriminator(real, classes), self.discriminator(fake, classes)
            loss = relativistic_loss(on_real, on_fake)
            losses = {"discriminator": loss.detach()}
            if penalised:
                r1, r2 = gradient_penalty(real, on_real), gradient_penalty(fake, on_fake)
                loss = loss + spec.gamma / 2 * spec.penalty_every * (r1 + r2)
                losses |= {"r1": r1.detach(), "r2": r2.detach()}
        descend(loss, self.discriminator, self.optimisers["discriminator"], spec.training.gradient_clip)
        return losses

    def _update_generator(self, images: Tensor, classes: Tensor, latent: Tensor) -> dict[str, Tensor]:
        with autocast(self.device, self.spec.training.precision):
            on_fake = self.discriminator(self.generator(latent, classes), classes)
            with torch.no_grad():
                on_real = self.discriminator(images, classes)
            loss = relativistic_loss(on_fake, on_real)
        descend(loss, self.generator, self.optimisers["generator"], self.spec.training.gradient_clip)
        return {"generator": loss.detach()}


class GanFamily(Family):
    """The GAN behind the protocol of the trained families."""

    def __init__(self, spec: GanSpec, pace: Pace | None = None) -> None:
        super().__init__(pace)
        self.spec: GanSpec = spec
        self.training = spec.training

    def _base(self, shape: Shape) -> tuple[int, int]:
        """Size of the coarsest level; sides must be multiples of patch·2^(levels − 1)."""
        network = self.spec.network
        multiple = network.patch * 2 ** (len(network.channels) - 1)
        if shape[1] % multiple or shape[2] % multiple:
            raise UserError(size_message(self.spec.name, shape, multiple, "network.patch or fewer network.channels"))
        return shape[1] // multiple, shape[2] // multiple

    def network(self, shape: Shape, classes: int) -> Generator:
        """The generator."""
        return Generator(self.spec.network, shape[0], classes, self._base(shape))

    def learner(self, shape: Shape, classes: int, seed: int, device: torch.device) -> GanLearner:
        """New networks and their optimisers."""
        base = self._base(shape)
        generator = seeded(lambda: self.network(shape, classes), derive_seed("gan-generator", seed))
        discriminator = seeded(
            lambda: Discriminator(self.spec.network, shape[0], classes, base), derive_seed("gan-discriminator", seed)
        )
        return GanLearner(self.spec, generator, discriminator, seed, device)

    def noise_shape(self, shape: Shape) -> tuple[int, ...]:
        """The noise is a latent vector."""
        return (self.spec.network.latent_size,)

    def draw(self, network: nn.Module, device: torch.device) -> Draw:
        """One pass of the generator."""

        def draw(noise: Tensor, classes: Tensor) -> Tensor:
            with autocast(device, self.spec.training.precision):
                images: Tensor = network(noise, classes)
            return images

        return draw
