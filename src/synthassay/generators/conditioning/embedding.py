"""Conditions as one vector, which the networks add to what they know of an image."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

FREQUENCIES = 8  # a number is seen as sines and cosines of π·2⁰ … π·2⁷ times it


class Embedder(nn.Module):
    """Codes and numbers → ``[b, width]``: the sum of one vector a column, of unit variance at the start.

    A missing value has a vector of its own, so that what is not known differs from what is.
    """

    def __init__(self, sizes: Sequence[int], measured: int, width: int) -> None:
        super().__init__()
        self.named = nn.ModuleList(nn.Embedding(size + 1, width) for size in sizes)
        self.measured = nn.ModuleList(nn.Linear(2 * FREQUENCIES + 1, width, bias=False) for _ in range(measured))
        self.width = width
        self.scale = 1 / math.sqrt(max(1, len(sizes) + measured))

    def forward(self, codes: Tensor, values: Tensor) -> Tensor:
        """``codes`` ``[b, k]`` int64, ``values`` ``[b, v]`` → ``[b, width]``; zeros where there is no column."""
        total = torch.zeros(len(codes), self.width, device=codes.device)
        for column, embedding in enumerate(self.named):
            total = total + embedding(codes[:, column])
        for column, linear in enumerate(self.measured):
            total = total + linear(_features(values[:, column]))
        return self.scale * total


def _features(values: Tensor) -> Tensor:
    """``[b]`` → ``[b, 2·FREQUENCIES + 1]``, of unit length; the last feature is 1 where the number is missing."""
    missing = values.isnan()
    octaves = math.pi * 2.0 ** torch.arange(FREQUENCIES, device=values.device)
    angles = torch.nan_to_num(values)[:, None] * octaves
    waves = torch.cat([angles.sin(), angles.cos()], 1) / math.sqrt(FREQUENCIES)
    return torch.cat([waves.masked_fill(missing[:, None], 0.0), missing[:, None].float()], 1)
