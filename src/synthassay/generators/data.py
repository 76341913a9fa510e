"""Training batches: resident in memory, and each a function of seed and step only."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthassay.generators.conditioning.plan import condition_columns
from synthassay.generators.conditions import Vocabulary
from synthassay.generators.scaling import Standardiser
from synthassay.records import ImageSet
from synthassay.seeding import numpy_generator

RESIDENT_SHARE = 0.25  # of the free memory of a GPU that images may take


@dataclass(slots=True)
class TrainingData:
    """Images and class indices of generator-train, drawn in epochs of a seeded order."""

    pixels: Tensor  # [n, c, h, w] uint8, or int32 for 16-bit images; on the device when they fit, else in CPU memory
    classes: Tensor  # [n] int64, on the device
    pixel_max: int
    standardiser: Standardiser
    seed: int
    device: torch.device
    _orders: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, images: ImageSet, vocabulary: Vocabulary, standardiser: Standardiser, seed: int, device: torch.device
    ) -> "TrainingData":
        """Load ``images`` into memory."""
        array = np.array(images.pixels) if images.pixels.dtype == np.uint8 else images.pixels.astype(np.int32)
        pixels = torch.from_numpy(array)
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            pixels = pixels.to(device) if pixels.nbytes < RESIDENT_SHARE * free else pixels.pin_memory()
        codes = vocabulary.encode(condition_columns(images, vocabulary.columns), len(images))
        return cls(pixels, torch.from_numpy(codes).to(device), images.pixel_max, standardiser, seed, device)

    def rows(self, step: int, batch_size: int) -> NDArray[np.int64]:
        """Which images the batch of ``step`` (from 0) holds: the next ``batch_size`` of an endless run of epochs.

        Each epoch is a permutation of its own, so a batch may hold the end of one and the start of the next, and a
        batch larger than the set holds images more than once.
        """
        n = len(self.pixels)
        positions = np.arange(step * batch_size, (step + 1) * batch_size)
        epochs = range(int(positions[0]) // n, int(positions[-1]) // n + 1)
        for epoch in epochs:
            if epoch not in self._orders:
                self._orders[epoch] = numpy_generator("epoch", self.seed, epoch).permutation(n)
        parts = [self._orders[epoch][positions[positions // n == epoch] % n] for epoch in epochs]
        for old in [epoch for epoch in self._orders if epoch < epochs[-1]]:
            del self._orders[old]
        return np.concatenate(parts)

    def stored(self, step: int, batch_size: int) -> tuple[Tensor, Tensor]:
        """Pixels ``[b, c, h, w]`` as they are stored and class indices ``[b]`` int64, both on the device."""
        rows = torch.from_numpy(self.rows(step, batch_size))
        # index_select copies whole images; indexing by a tensor copies pixel by pixel, five times slower for uint8.
        pixels = self.pixels.index_select(0, rows.to(self.pixels.device)).to(self.device, non_blocking=True)
        return pixels, self.classes[rows.to(self.device)]

    def batch(self, step: int, batch_size: int) -> tuple[Tensor, Tensor]:
        """Standardised images ``[b, c, h, w]`` float32 and class indices ``[b]`` int64, both on the device."""
        pixels, classes = self.stored(step, batch_size)
        return self.standardiser.forward_(pixels.to(torch.float32).div_(self.pixel_max)), classes
