"""Training batches: resident in memory, and each a function of seed and step only."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
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


Gathered = tuple[Tensor, Tensor | None]  # pixels and masks of some rows, as they are stored


@dataclass(slots=True)
class Ahead:
    """Gathers the next batch in a thread, for images that lie in the CPU's memory and are used on a GPU."""

    rows: NDArray[np.int64] | None = None
    gathered: "Future[Gathered] | None" = None
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "batches"))

    def begin(self, rows: NDArray[np.int64], gather: Callable[[NDArray[np.int64]], Gathered]) -> None:
        """Start on ``rows``."""
        self.rows, self.gathered = rows, self.thread.submit(gather, rows)

    def take(self, rows: NDArray[np.int64]) -> Gathered | None:
        """What was gathered, if these are the rows that it was started for."""
        if self.gathered is None or self.rows is None or not np.array_equal(rows, self.rows):
            return None
        return self.gathered.result()


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
    ahead: Ahead | None = None
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
        ahead = None if pixels.device == codes.device else Ahead()
        return cls(pixels, codes, values, masks, vocabulary, images.pixel_max, standardiser, seed, device, ahead)

    def __len__(self) -> int:
        return len(self.pixels)

    def rows(self, step: int, batch_size: int) -> NDArray[np.int64]:
        """Which images the batch of ``step`` (from 0) holds: the next ``batch_size`` of an endless run of epochs.

        Each epoch is a permutation of its own, so a batch may hold the end of one and the start of the next, and a
        batch larger than the set holds images more than once.
        """
        n, first, end = len(self.pixels), step * batch_size, (step + 1) * batch_size
        epochs = range(first // n, (end - 1) // n + 1)
        parts = [self._order(epoch)[max(0, first - epoch * n) : end - epoch * n] for epoch in epochs]
        for old in [epoch for epoch in self._orders if epoch < epochs[-1]]:
            del self._orders[old]
        return np.concatenate(parts)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._orders:
            self._orders[epoch] = numpy_generator("epoch", self.seed, epoch).permutation(len(self.pixels))
        return self._orders[epoch]

    def stored(self, rows: Tensor) -> Tensor:
        """Pixels ``[b, c, (d,) h, w]`` of ``rows`` (on the CPU) as they are stored, on the device."""
        return _selected(self.pixels, rows).to(self.device, non_blocking=True)

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Condition]:
        """Standardised images ``[b, c, (d,) h, w]`` float32 and their conditions, both on the device."""
        pixels, masks = (self.ahead.take(rows) if self.ahead else None) or self._gather(rows)
        pixels = pixels.to(self.device, non_blocking=True)
        images = self.standardiser.forward_(pixels.to(torch.float32).div_(self.pixel_max))
        here = sent(torch.from_numpy(rows), self.device)
        return images, Condition(self.codes[here], self.values[here], self._planes(masks, len(rows)))

    def expect(self, step: int, batch_size: int, part: slice) -> None:
        """Begin to gather ``part`` of the batch of ``step``, where images do not lie on the device."""
        if self.ahead is not None:
            self.ahead.begin(self.rows(step, batch_size)[part], self._gather)

    def _gather(self, rows: NDArray[np.int64]) -> Gathered:
        index = torch.from_numpy(rows)
        return _selected(self.pixels, index), None if self.masks is None else _selected(self.masks, index)

    def _planes(self, masks: Tensor | None, n: int) -> Tensor:
        if masks is None:
            return torch.zeros(n, 0, *[1] * (self.pixels.ndim - 2), device=self.device)
        return mask_planes(masks.to(self.device, non_blocking=True), self.vocabulary.mask_classes)


def _selected(tensor: Tensor, rows: Tensor) -> Tensor:
    # index_select copies whole images; indexing by a tensor copies pixel by pixel, five times slower for uint8.
    if not tensor.is_pinned():
        return tensor.index_select(0, sent(rows, tensor.device))
    out = torch.empty((len(rows), *tensor.shape[1:]), dtype=tensor.dtype, pin_memory=True)
    return torch.index_select(tensor, 0, rows, out=out)


def _beside(pixels: Tensor, masks: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Both on the device when they fit into its memory, else pinned on the CPU."""
    if device.type != "cuda":
        return pixels, masks
    free, _ = torch.cuda.mem_get_info(device)
    if pixels.nbytes + (0 if masks is None else masks.nbytes) < RESIDENT_SHARE * free:
        return pixels.to(device), None if masks is None else masks.to(device)
    return pixels.pin_memory(), None if masks is None else masks.pin_memory()
