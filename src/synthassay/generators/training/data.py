"""Training batches: resident in memory, and each a function of seed and step only."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synthassay.generators.conditioning.condition import MASK, Condition, Vocabulary, mask_planes
from synthassay.generators.conditioning.plan import condition_columns
from synthassay.generators.devices import sent
from synthassay.generators.training.scaling import Standardiser
from synthassay.records import ImageSet
from synthassay.seeding import numpy_generator

RESIDENT_SHARE = 0.25  # of the free memory of a GPU that images may take


@dataclass(slots=True)
class TrainingData:
    """Images and conditions of generator-train, drawn in epochs of a seeded order."""

    pixels: Tensor  # [n, c, (d,) h, w] uint8, or int32 for 16 bits; on the device when they fit, else in CPU memory
    codes: Tensor  # [n, k] int64, on the device
    values: Tensor  # [n, v] float32, on the device
    masks: Tensor | None  # [n, (d,) h, w] uint8, beside the pixels
    vocabulary: Vocabulary
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
        names = (*vocabulary.named, *vocabulary.measured, *((MASK,) if vocabulary.mask_classes else ()))
        columns = vocabulary.encode(condition_columns(images, names), len(images))
        masks = None if columns.masks is None else torch.from_numpy(np.array(columns.masks))
        pixels, masks = _beside(torch.from_numpy(array), masks, device)
        codes, values = (torch.from_numpy(part).to(device) for part in columns[:2])
        return cls(pixels, codes, values, masks, vocabulary, images.pixel_max, standardiser, seed, device)

    def __len__(self) -> int:
        return len(self.pixels)

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

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Condition]:
        """Standardised images ``[b, c, (d,) h, w]`` float32 and their conditions, both on the device."""
        index = torch.from_numpy(rows)
        here = sent(index, self.device)
        pixels = self._taken(self.pixels, index, here)
        images = self.standardiser.forward_(pixels.to(torch.float32).div_(self.pixel_max))
        return images, Condition(self.codes[here], self.values[here], self._planes(index, here))

    def _planes(self, rows: Tensor, here: Tensor) -> Tensor:
        spatial = self.pixels.shape[2:]
        if self.masks is None:
            return torch.zeros(len(rows), 0, *[1] * len(spatial), device=self.device)
        return mask_planes(self._taken(self.masks, rows, here), self.vocabulary.mask_classes)

    def _taken(self, tensor: Tensor, rows: Tensor, here: Tensor) -> Tensor:
        """``rows`` (on the CPU, and ``here`` on the device) of ``tensor``, on the device."""
        # index_select copies whole images; indexing by a tensor copies pixel by pixel, five times slower for uint8.
        if tensor.device == here.device:
            return tensor.index_select(0, here)
        chosen = torch.empty((len(rows), *tensor.shape[1:]), dtype=tensor.dtype, pin_memory=True)
        return torch.index_select(tensor, 0, rows, out=chosen).to(self.device, non_blocking=True)


def _beside(pixels: Tensor, masks: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Both on the device when they fit into its memory, else pinned on the CPU."""
    if device.type != "cuda":
        return pixels, masks
    free, _ = torch.cuda.mem_get_info(device)
    if pixels.nbytes + (0 if masks is None else masks.nbytes) < RESIDENT_SHARE * free:
        return pixels.to(device), None if masks is None else masks.to(device)
    return pixels.pin_memory(), None if masks is None else masks.pin_memory()
