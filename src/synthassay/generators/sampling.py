"""Drawing images in batches of one size, each image from its own seed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthassay.generators.conditions import Vocabulary
from synthassay.generators.protocol import Conditions
from synthassay.generators.scaling import Standardiser
from synthassay.seeding import noise_per_sample

Draw = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSampler:
    """A :class:`~synthassay.generators.protocol.Sampler` around ``draw(noise, classes) -> standardised images``.

    Every evaluation has ``batch_size`` rows, the last padded with copies of its last row: another number of rows could
    choose another algorithm for a matrix product, and so another rounding.
    """

    draw: Draw
    noise_shape: tuple[int, ...]
    purpose: str  # names the noise, so that two families do not start from the same
    vocabulary: Vocabulary
    standardiser: Standardiser
    image_shape: tuple[int, ...]
    batch_size: int
    device: torch.device

    def sample(self, seeds: NDArray[np.int64], conditions: Conditions) -> NDArray[np.float32]:
        """See :meth:`~synthassay.generators.protocol.Sampler.sample`."""
        classes = self.vocabulary.encode(conditions, len(seeds))
        images = np.empty((len(seeds), *self.image_shape), np.float32)
        for start in range(0, len(seeds), self.batch_size):
            rows = np.arange(start, start + self.batch_size).clip(max=len(seeds) - 1)
            kept = min(self.batch_size, len(seeds) - start)
            images[start : start + kept] = self._batch(seeds[rows], classes[rows])[:kept]
        return images

    @torch.inference_mode()
    def _batch(self, seeds: NDArray[np.int64], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        noise = noise_per_sample(seeds, self.noise_shape, self.purpose).to(self.device)
        standardised = self.draw(noise, torch.from_numpy(classes).to(self.device))
        images: NDArray[np.float32] = self.standardiser.inverse(standardised.float()).cpu().numpy()
        return images
