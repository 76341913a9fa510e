"""Drawing images in batches, each image from its own seed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Columns, Condition, Vocabulary
from synthassay.generators.memory import Memory, rows_that_fit
from synthassay.generators.protocol import Conditions
from synthassay.generators.training.scaling import Standardiser
from synthassay.seeding import noise_per_sample

Noise = Callable[[int], Tensor]  # k → the k-th noise of each image of a batch, [b, *noise_shape]; 0 is the start
Draw = Callable[[Noise, Condition], Tensor]

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class BatchSampler:
    """A :class:`~synthassay.generators.protocol.Sampler` around ``draw(noise, condition) -> standardised images``.

    On a CPU every evaluation has ``rows`` rows, the last padded with copies of its last row: another number of rows
    could choose another algorithm for a matrix product, and so another rounding. With a ``memory``, that of a GPU, the
    first evaluation tells how much a row takes, and later ones have as many rows as there is room for, in multiples of
    ``rows``. Where the memory does not hold them, they are halved. Either changes rounding only.
    """

    draw: Draw
    noise_shape: tuple[int, ...]
    purpose: str  # names the noise, so that two families do not start from the same
    vocabulary: Vocabulary
    standardiser: Standardiser
    image_shape: tuple[int, ...]
    rows: int
    device: torch.device
    memory: Memory | None = None  # None: not looked at, or no longer
    most: int = 1024  # rows of an evaluation, whatever the memory holds
    room: int = field(init=False)  # rows that the memory holds, as far as it was found out

    def __post_init__(self) -> None:
        self.room = self.rows

    @property
    def batch_size(self) -> int:
        """See :meth:`~synthassay.generators.protocol.Sampler.batch_size`."""
        return max(1, self.room // self.rows) * self.rows

    def sample(self, seeds: NDArray[np.int64], conditions: Conditions) -> NDArray[np.float32]:
        """See :meth:`~synthassay.generators.protocol.Sampler.sample`."""
        columns = self.vocabulary.encode(conditions, len(seeds))
        images = np.empty((len(seeds), *self.image_shape), np.float32)
        start = 0
        while start < len(seeds):
            left = len(seeds) - start
            n = min(self.batch_size, -(-left // self.rows) * self.rows)
            rows = np.arange(start, start + n).clip(max=len(seeds) - 1)
            images[start : start + n] = self._watched(seeds[rows], _taken(columns, rows))[:left]
            start += n
        return images

    def _watched(self, seeds: NDArray[np.int64], columns: Columns) -> NDArray[np.float32]:
        """One batch. From the first it follows how many rows there is room for."""
        if self.memory is None:
            return self._fitting(seeds, columns)
        memory, self.memory = self.memory, None
        memory.watch()
        images = self._fitting(seeds, columns)
        if self.room == self.rows:  # else they did not even fit
            self.room = rows_that_fit(self.rows, memory.taken(), memory.free(), self.most)
        return images

    def _fitting(self, seeds: NDArray[np.int64], columns: Columns) -> NDArray[np.float32]:
        """One batch, in as many parts as there is room for."""
        while True:
            parts = np.array_split(np.arange(len(seeds)), -(-len(seeds) // self.room))
            try:
                return np.concatenate([self._batch(seeds[part], _taken(columns, part)) for part in parts])
            except torch.OutOfMemoryError as error:
                if len(parts[0]) == 1:
                    raise UserError("the GPU's memory does not hold the sampling of a single image.\n"
                                    "Free some of it, or choose resources.device=cpu.") from error  # fmt: skip
            self.room = (len(parts[0]) + 1) // 2
            torch.cuda.empty_cache()
            logger.warning("the GPU's memory does not hold %d images when sampling; they are drawn %d at a time, with "
                           "the same result to rounding", len(parts[0]), self.room)  # fmt: skip

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
