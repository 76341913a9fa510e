"""EDM2's U-Net, configuration G (Karras et al. 2024, arXiv 2312.02696), in 2D and 3D."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthassay.generators.networks.folding import fold, unfold
from synthassay.generators.networks.magnitudes import FourierFeatures, UnitConv, mp_cat, mp_silu, mp_sum, normalised
from synthassay.generators.networks.specs import MagnitudePreservingSpec

RESIDUAL_SHARE = 0.3  # of a block's branch, and of its attention, in the sum with what goes around it
CONDITION_SHARE = 0.5  # of the condition in the sum with the noise level's embedding
Resample = Literal["keep", "down", "up"]


class Attention(nn.Module):
    """Self-attention over all positions; queries, keys and values have magnitude 1 in each head (cosine attention)."""

    def __init__(self, width: int, head_channels: int, dims: int) -> None:
        super().__init__()
        self.heads = width // head_channels
        self.project = UnitConv(width, 3 * width, dims)
        self.merge = UnitConv(width, width, dims)

    def forward(self, x: Tensor) -> Tensor:
        """``[b, width, *s]`` → the same shape."""
        parts = self.project(x).flatten(2).unflatten(1, (3, self.heads, -1))  # [b, 3, heads, channels, positions]
        q, k, v = normalised(parts, 3).transpose(3, 4).unbind(1)
        seen = functional.scaled_dot_product_attention(q, k, v)
        return mp_sum(x, self.merge(seen.transpose(2, 3).reshape(x.shape)), RESIDUAL_SHARE)


class Block(nn.Module):
    """A residual block; the embedding scales the channels between its two convolutions."""

    def __init__(
        self, inputs: int, outputs: int, embedding: int, dims: int, *,
        encoder: bool, head_channels: int | None, resample: Resample = "keep",
    ) -> None:  # fmt: skip
        """``head_channels`` None: without attention."""
        super().__init__()
        self.encoder, self.resample = encoder, resample
        self.scale = UnitConv(embedding, outputs)
        self.scale_gain = nn.Parameter(torch.zeros(()))
        self.first = UnitConv(outputs if encoder else inputs, outputs, dims, 3)
        self.second = UnitConv(outputs, outputs, dims, 3)
        self.around = UnitConv(inputs, outputs, dims) if inputs != outputs else nn.Identity()
        self.attention = Attention(outputs, head_channels, dims) if head_channels else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """``x`` ``[b, inputs, *s]``, ``embedding`` ``[b, e]`` → ``[b, outputs, *s']``."""
        x = self._resampled(x)
        if self.encoder:  # pixel normalisation here, and only here, makes good for what averaging takes away
            x = normalised(self.around(x), 1)
        scale = self.scale(embedding, self.scale_gain) + 1
        inner = mp_silu(self.first(mp_silu(x)) * scale.view(*scale.shape, *[1] * (x.ndim - 2)))
        shortcut = x if self.encoder else self.around(x)
        joined: Tensor = self.attention(mp_sum(shortcut, self.second(inner), RESIDUAL_SHARE))
        return joined

    def _resampled(self, x: Tensor) -> Tensor:
        match self.resample:
            case "down":
                smaller = functional.avg_pool2d(x, 2) if x.ndim == 4 else functional.avg_pool3d(x, 2)
                return smaller.to(x.dtype)  # a CPU's autocast pools volumes in float32
            case "up":
                return functional.interpolate(x, scale_factor=2.0, mode="nearest")
            case _:
                return x


class MagnitudePreservingUNet(nn.Module):
    """F(x; time, embedding). Its output starts at zero: a learnt gain multiplies the last convolution."""

    def __init__(
        self, spec: MagnitudePreservingSpec, dims: int, inputs: int, outputs: int, embedding: int | None = None
    ) -> None:
        """For images of ``dims`` 2 or 3 with ``inputs`` channels, and a condition of ``embedding`` numbers, or none."""
        super().__init__()
        self.patch = spec.patch
        folded = spec.patch**dims
        width, inner = spec.channels[0], max(spec.channels)
        self.fourier = FourierFeatures(width)
        self.embed_time = UnitConv(width, inner)
        self.embed_condition = UnitConv(embedding, inner) if embedding else None
        self.enter = UnitConv(inputs * folded + 1, width, dims, 3)  # one more channel, of ones, stands for the biases
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()
        self.skips: list[bool] = []  # whether each block of the decoder takes a kept output of the encoder
        self._build(spec, inner, dims)
        self.leave = UnitConv(width, outputs * folded, dims, 3)
        self.output_gain = nn.Parameter(torch.zeros(()))

    def _build(self, spec: MagnitudePreservingSpec, inner: int, dims: int) -> None:
        current, kept = spec.channels[0], [spec.channels[0]]
        levels = list(zip(spec.channels, spec.res_blocks, spec.attention, strict=True))

        def add(width: int, *, attends: bool, encoder: bool, skip: int = 0, resample: Resample = "keep") -> int:
            heads = spec.head_channels if attends else None
            block = Block(current + skip, width, inner, dims, encoder=encoder, head_channels=heads, resample=resample)
            (self.encoder if encoder else self.decoder).append(block)
            if encoder:
                kept.append(width)
            else:
                self.skips.append(skip > 0)
            return width

        for level, (width, count, attends) in enumerate(levels):
            if level:
                current = add(current, attends=False, encoder=True, resample="down")
            for _ in range(count):
                current = add(width, attends=attends, encoder=True)
        current = add(current, attends=True, encoder=False)
        current = add(current, attends=False, encoder=False)
        for level, (width, count, attends) in reversed(list(enumerate(levels))):
            if level < len(levels) - 1:
                current = add(current, attends=False, encoder=False, resample="up")
            for _ in range(count + 1):
                current = add(width, attends=attends, encoder=False, skip=kept.pop())

    def forward(self, x: Tensor, time: Tensor, embedding: Tensor | None = None) -> Tensor:
        """``x`` ``[b, inputs, *s]``, ``time`` ``[b]`` (EDM: ln(σ)/4), ``embedding`` ``[b, e]`` → ``[b, outputs, *s]``.

        Sides are multiples of ``spec.multiple``. An embedding of zeros means that nothing is known. Of any other only
        the direction counts: it is normalised to magnitude 1.
        """
        embedded = self.embed_time(self.fourier(time))
        if self.embed_condition is not None:
            if embedding is None:
                raise ValueError("this network takes an embedding of the condition")
            condition = self.embed_condition(normalised(embedding, 1))
            embedded = mp_sum(embedded, condition, CONDITION_SHARE)
        embedded = mp_silu(embedded)
        x = fold(x, self.patch)
        x = self.enter(torch.cat([x, torch.ones_like(x[:, :1])], dim=1))
        kept = [x]
        for block in self.encoder:
            x = block(x, embedded)
            kept.append(x)
        for block, skip in zip(self.decoder, self.skips, strict=True):
            x = block(mp_cat(x, kept.pop()) if skip else x, embedded)
        return unfold(self.leave(x, self.output_gain), self.patch)
