"""The GAN behind the protocol of the trained families, for images and volumes."""

import torch
from torch import Tensor

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.devices import autocast, seeded
from synthassay.generators.family import Family, Loaded, Shape, check_sides
from synthassay.generators.gan.learner import GanLearner
from synthassay.generators.gan.specs import GanSpec
from synthassay.generators.networks.r3gan import Discriminator, Generator
from synthassay.generators.sampling import Draw, Noise
from synthassay.generators.training.loop import Pace
from synthassay.seeding import derive_seed


class GanFamily(Family):
    """R3GAN's networks and learner."""

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
