"""Random views of images, for contrastive training: crop, rotation, flip, intensity, noise."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from synthassay.features.domain_specs import ViewSpec


def view(images: Tensor, spec: ViewSpec, generator: torch.Generator) -> Tensor:
    """One view of each of ``images`` ``[b, c, h, w]`` float32 in [0, 1]; the same shape, values near [0, 1].

    Every number is drawn on the CPU from the CPU ``generator``, so that devices agree, and whatever the settings, so
    that switching one change off leaves the others as they were.
    """
    b, device = len(images), images.device
    uniform = torch.rand((7, b), generator=generator)
    noise = torch.randn(images.shape, generator=generator)
    grid = F.affine_grid(_transforms(uniform, spec).to(device), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    amounts = (2.0 * uniform[4:6] - 1.0).view(2, b, 1, 1, 1).to(device)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    toned = mean + (moved - mean) * (1.0 + spec.contrast * amounts[0]) + spec.brightness * amounts[1]
    return toned + noise.to(device) * (spec.noise * uniform[6].view(b, 1, 1, 1).to(device))


def _transforms(uniform: Tensor, spec: ViewSpec) -> Tensor:
    """``[b, 2, 3]``: from the places of a view's pixels to places in the image, both in [-1, 1]."""
    area, angle, across, down = uniform[:4]
    side = (1.0 - (1.0 - spec.crop) * area).sqrt()
    turn = (2.0 * angle - 1.0) * math.radians(spec.rotation)
    # The left half of the range of ``across`` is flipped; within either half the crop moves over the whole image.
    flipped = across < 0.5
    across = torch.where(flipped, 2.0 * across, 2.0 * across - 1.0)
    sign = torch.where(flipped, -1.0, 1.0) if spec.flip else torch.ones_like(across)
    shift_x, shift_y = ((2.0 * place - 1.0) * (1.0 - side) for place in (across, down))
    cos, sin = side * turn.cos(), side * turn.sin()
    return torch.stack([cos * sign, -sin, shift_x, sin * sign, cos, shift_y], dim=1).view(-1, 2, 3)
