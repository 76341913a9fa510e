"""A GAN with the regularised relativistic loss of R3GAN (Huang et al. 2024, arXiv 2501.05441)."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.devices import autocast, place, seeded
from synthassay.generators.family import Family, Loaded, Shape, check_sides
from synthassay.generators.networks.r3gan import Discriminator, Generator
from synthassay.generators.sampling import Draw, Noise
from synthassay.generators.specs import GanSpec
from synthassay.generators.training.learner import Average, Draws, Learner, Losses, Phase, adamw, followed, kept
from synthassay.generators.training.loop import Pace
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


class GanLearner(Learner):
    """Both networks, the generator's average, and one update of each a step."""

    def __init__(self, spec: GanSpec, generator: Generator, discriminator: Discriminator, device: torch.device) -> None:
        self.spec = spec
        self.generator, self.discriminator = place(generator, device), place(discriminator, device)
        self.averages: Sequence[Average] = followed(self.generator, spec.training)
        self.modules: Mapping[str, nn.Module] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            **kept(self.averages),
        }
        self.optimisers: Mapping[str, Optimizer] = {
            name: adamw(self.modules[name], spec.training) for name in ("generator", "discriminator")
        }

    def phases(self, step: int) -> Sequence[Phase]:
        """The discriminator's update, then the generator's, on the same real images and new latents."""
        penalised = step % self.spec.penalty_every == 0
        return (
            Phase("discriminator", self._latents, partial(self._discriminator_loss, penalised=penalised)),
            Phase("generator", self._latents, self._generator_loss),
        )

    def _latents(self, n: int, generator: torch.Generator) -> Draws:
        return (torch.randn((n, self.spec.network.latent_size), generator=generator, device=generator.device),)

    def _discriminator_loss(self, images: Tensor, condition: Condition, latent: Tensor, *, penalised: bool) -> Losses:
        spec = self.spec
        with torch.no_grad():
            fake = self.generator(latent, condition)
        real, fake = images.detach().requires_grad_(penalised), fake.detach().requires_grad_(penalised)
        on_real, on_fake = self.discriminator(real, condition), self.discriminator(fake, condition)
        loss = relativistic_loss(on_real, on_fake)
        shown = {"discriminator": loss}
        if penalised:
            r1, r2 = gradient_penalty(real, on_real), gradient_penalty(fake, on_fake)
            loss = loss + spec.gamma / 2 * spec.penalty_every * (r1 + r2)
            shown |= {"r1": r1, "r2": r2}
        return Losses(loss, shown)

    def _generator_loss(self, images: Tensor, condition: Condition, latent: Tensor) -> Losses:
        on_fake = self.discriminator(self.generator(latent, condition), condition)
        with torch.no_grad():
            on_real = self.discriminator(images, condition)
        loss = relativistic_loss(on_fake, on_real)
        return Losses(loss, {"generator": loss})


class GanFamily(Family):
    """The GAN behind the protocol of the trained families."""

    def __init__(self, spec: GanSpec, pace: Pace | None = None) -> None:
        super().__init__(pace)
        self.spec: GanSpec = spec
        self.training = spec.training

    def _base(self, shape: Shape) -> tuple[int, ...]:
        """Size of the coarsest level; sides must be multiples of patch·2^(levels − 1)."""
        network = self.spec.network
        multiple = network.patch * 2 ** (len(network.channels) - 1)
        check_sides(self.spec.name, shape, multiple, "network.patch or fewer network.channels")
        return tuple(side // multiple for side in shape[1:])

    def network(self, shape: Shape, vocabulary: Vocabulary) -> Generator:
        """The generator."""
        return Generator(self.spec.network, shape[0], vocabulary, self._base(shape))

    def learner(self, shape: Shape, vocabulary: Vocabulary, seed: int, device: torch.device) -> GanLearner:
        """New networks and their optimisers."""
        base = self._base(shape)
        generator = seeded(lambda: self.network(shape, vocabulary), derive_seed("gan-generator", seed))
        discriminator = seeded(
            lambda: Discriminator(self.spec.network, shape[0], vocabulary, base), derive_seed("gan-discriminator", seed)
        )
        return GanLearner(self.spec, generator, discriminator, device)

    def noise_shape(self, shape: Shape) -> tuple[int, ...]:
        """The noise is a latent vector."""
        return (self.spec.network.latent_size,)

    def draw(self, loaded: Loaded) -> Draw:
        """One pass of the generator."""

        def draw(noise: Noise, condition: Condition) -> Tensor:
            with autocast(loaded.device, self.spec.training.precision):
                images: Tensor = loaded.network(noise(0), condition)
            return images

        return draw
