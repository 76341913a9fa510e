"""Flips, shifts and intensity changes of whole batches as tensors."""

import torch
from torch import Tensor

from synthassay.downstream.specs import AugmentationSpec


def augment(images: Tensor, spec: AugmentationSpec, generator: torch.Generator) -> Tensor:
    """``images``: ``[n, c, h, w]`` float32, standardised; returns the same shape.

    Every number is drawn on the CPU from ``generator``, whatever the settings, so that devices agree and switching one
    change off leaves the others as they were. Shifts are whole pixels: no image is blurred by interpolation.
    """
    n, _, height, width = images.shape
    flips = torch.rand(n, generator=generator) < 0.5
    shifts = torch.rand((2, n), generator=generator)
    jitter = torch.randn((2, n, 1, 1, 1), generator=generator).to(images.device)
    offsets = torch.floor(shifts * (2 * spec.shift + 1)).long() - spec.shift
    rows = (torch.arange(height) + offsets[0, :, None]).clamp(0, height - 1)
    columns = (torch.arange(width) + offsets[1, :, None]).clamp(0, width - 1)
    if spec.flip:
        columns = torch.where(flips[:, None], columns.flip(1), columns)
    index = torch.arange(n)[:, None, None, None], rows[:, None, :, None], columns[:, None, None, :]
    batch, rows, columns = (part.to(images.device) for part in index)
    moved = images[batch, torch.arange(images.shape[1], device=images.device)[:, None, None], rows, columns]
    return moved * (1 + spec.contrast * jitter[0]) + spec.brightness * jitter[1]
