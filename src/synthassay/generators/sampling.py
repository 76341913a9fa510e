"""Drawing images in batches of one size, each image from its own seed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Columns, Condition, Vocabulary
from synthassay.generators.protocol import Conditions
from synthassay.generators.training.scaling import Standardiser
from synthassay.seeding import noise_per_sample

Noise = Callable[[int], Tensor]  # k → the k-th noise of each image of a batch, [b, *noise_shape]; 0 is the start
Draw = Callable[[Noise, Condition], Tensor]

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class BatchSampler:
    """A :class:`~synthassay.generators.protocol.Sampler` around ``draw(noise, condition) -> standardised images``.

    Every evaluation has ``batch_size`` rows, the last padded with copies of its last row: another number of rows could
    choose another algorithm for a matrix product, and so another rounding. Where a GPU's memory does not hold so many,
    they are halved, which changes rounding only.
    """

    draw: Draw
    noise_shape: tuple[int, ...]
    purpose: str  # names the noise, so that two families do not start from the same
    vocabulary: Vocabulary
    standardiser: Standardiser
    image_shape: tuple[int, ...]
    batch_size: int
    device: torch.device
    room: int = field(init=False)  # rows that the memory holds, as far as it was found out

    def __post_init__(self) -> None:
        self.room = self.batch_size

    def sample(self, seeds: NDArray[np.int64], conditions: Conditions) -> NDArray[np.float32]:
        """See :meth:`~synthassay.generators.protocol.Sampler.sample`."""
        columns = self.vocabulary.encode(conditions, len(seeds))
        images = np.empty((len(seeds), *self.image_shape), np.float32)
        for start in range(0, len(seeds), self.batch_size):
            rows = np.arange(start, start + self.batch_size).clip(max=len(seeds) - 1)
            kept = min(self.batch_size, len(seeds) - start)
            images[start : start + kept] = self._fitting(seeds[rows], _taken(columns, rows))[:kept]
        return images

    def _fitting(self, seeds: NDArray[np.int64], columns: Columns) -> NDArray[np.float32]:
        """One batch, in as many parts as there is room for."""
        while True:
            parts = np.array_split(np.arange(len(seeds)), -(-len(seeds) // self.room))
            try:
                return np.concatenate([self._batch(seeds[part], _taken(columns, part)) for part in parts])
            except torch.OutOfMemoryError as error:
                if self.room == 1:
                    raise UserError("the GPU's memory does not hold the sampling of a single image.\n"
                                    "Free some of it, or choose resources.device=cpu.") from error  # fmt: skip
            self.room = (self.room + 1) // 2
            torch.cuda.empty_cache()
            logger.warning("the GPU's memory does not hold %d images when sampling; they are drawn %d at a time, with "
                           "the same result to rounding", self.batch_size, self.room)  # fmt: skip

    @torch.inference_mode()
    def _batch(self, seeds: NDArray[np.int64], columns: Columns) -> NDArray[np.float32]:
        def noise(k: int) -> Tensor:
            purpose = (self.purpose,) if k == 0 else (self.purpose, "step", k)
            return noise_per_sample(seeds, self.noise_shape, *purpose).to(self.device)

        condition = self.vocabulary.condition(columns, self.image_shape[1:]).to(self.device)
        standardised = self.draw(noise, condition)
        images: NDArray[np.float32] = self.standardiser.inverse(standardised.float()).cpu().numpy()
        return images


def _taken(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    masks = None if columns.masks is None else columns.masks[rows]
    return Columns(columns.codes[rows], columns.values[rows], masks)
