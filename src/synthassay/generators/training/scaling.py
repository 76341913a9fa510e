"""Intensities as networks see them: mean 0 and deviation 0.5 per channel, taken on generator-train."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import torch
from torch import Tensor

from synthassay.errors import UserError
from synthassay.records import ImageSet

SIGMA_DATA = 0.5  # EDM's preconditioning is optimal for data of this deviation


@dataclass(frozen=True, slots=True)
class Standardiser:
    """Maps [0, 1] images to mean 0 and deviation :data:`SIGMA_DATA` per channel, and back."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, images: ImageSet) -> Self:
        """Mean and deviation of each channel over all pixels of ``images``; exact integer sums, one pass in blocks."""
        channels = images.pixels.shape[1]
        total, squares = np.zeros(channels), np.zeros(channels)
        axes = (0, *range(2, images.pixels.ndim))
        for start in range(0, len(images), 256):
            block = images.pixels[start : start + 256].astype(np.float64) / images.pixel_max
            total += block.sum(axes)
            squares += np.square(block).sum(axes)
        count = images.pixels.size / channels
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        if (std < 1e-6).any():
            raise UserError(f"channel {int(std.argmin())} of the training images is constant; nothing can be learnt "
                            "from it.\nCheck the cohort's window, or leave the channel out.")  # fmt: skip
        return cls(tuple(mean.tolist()), tuple(std.tolist()))

    @classmethod
    def fixed(cls, channels: int) -> Self:
        """[0, 1] → [−1, 1], whatever the images are: their own mean and deviation would tell something of them."""
        return cls((0.5,) * channels, (0.25,) * channels)

    def forward(self, images: Tensor) -> Tensor:
        """``[n, c, (d,) h, w]`` float in [0, 1] → mean 0, deviation 0.5."""
        mean, std = self._like(images)
        return (images - mean) * (SIGMA_DATA / std)

    def forward_(self, images: Tensor) -> Tensor:
        """:meth:`forward` in place, which takes half of the time."""
        mean, std = self._like(images)
        return images.sub_(mean).mul_(SIGMA_DATA / std)

    def inverse(self, standardised: Tensor) -> Tensor:
        """Back to [0, 1]; what lies outside is clipped."""
        return self.restored(standardised).clamp(0.0, 1.0)

    def restored(self, standardised: Tensor) -> Tensor:
        """Back to what was standardised, wherever that lies."""
        mean, std = self._like(standardised)
        return standardised * (std / SIGMA_DATA) + mean

    def clipped(self, standardised: Tensor) -> Tensor:
        """Values beyond what black and white became are brought there."""
        mean, std = self._like(standardised)
        scale = SIGMA_DATA / std
        return torch.minimum(torch.maximum(standardised, -mean * scale), (1 - mean) * scale)

    def _like(self, images: Tensor) -> tuple[Tensor, Tensor]:
        shape = (1, -1, *[1] * (images.ndim - 2))
        mean, std = (_constant(values, images.dtype, images.device).view(shape) for values in (self.mean, self.std))
        return mean, std


@lru_cache(maxsize=16)
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Kept, since to make one on a GPU waits for all that the GPU still has to do."""
    with torch.inference_mode(False):  # a tensor of inference could not be used in training later
        return torch.tensor(values, dtype=dtype, device=device)
