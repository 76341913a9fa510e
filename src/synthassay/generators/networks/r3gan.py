"""Generator and discriminator after R3GAN (Huang et al. 2024): residual, no normalisation, for images and volumes."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.conditioning.embedding import Embedder
from synthassay.generators.gan.specs import R3GanNetworkSpec

SLOPE = 0.2  # of the leaky ReLU
ACTIVATION_GAIN = math.sqrt(2 / (1 + SLOPE**2))
UPSAMPLING = {2: "bilinear", 3: "trilinear"}
POOLING: dict[int, Callable[..., Tensor]] = {2: functional.avg_pool2d, 3: functional.avg_pool3d}
ADAPTIVE_POOLING: dict[int, Callable[..., Tensor]] = {2: functional.adaptive_avg_pool2d,
                                                      3: functional.adaptive_avg_pool3d}  # fmt: skip


def scaled_conv(
    dims: int, inputs: int, outputs: int, size: int, *, gain: float = 1.0, groups: int = 1, bias: bool = False
) -> nn.Conv2d | nn.Conv3d:
    """A convolution over ``dims`` axes with weights from N(0, gain²/fan_in); gain 0 starts at zero."""
    kind: Any = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
    conv: nn.Conv2d | nn.Conv3d = kind(inputs, outputs, size, padding=size // 2, groups=groups, bias=bias)
    fan_in = inputs // groups * size**dims
    nn.init.normal_(conv.weight, std=gain / math.sqrt(fan_in)) if gain else nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def scaled_linear(inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    """A linear map without bias, weights from N(0, gain²/inputs)."""
    linear = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(linear.weight, std=gain / math.sqrt(inputs))
    return linear


class ResidualBlock(nn.Module):
    """x + W₃·act(W₂ ∗ act(W₁·x)): 1×1 up, grouped 3×3, 1×1 down, as in ResNeXt.

    Initialised after Fix-up (Zhang et al. 2019, arXiv 1901.09321) in place of normalisation: W₃ starts at 0 and the
    others are scaled by (number of blocks)^(−1/4) = L^(−1/(2m−2)) for m = 3 layers.
    """

    def __init__(self, dims: int, width: int, spec: R3GanNetworkSpec, blocks: int) -> None:
        super().__init__()
        inner = width * spec.expansion
        gain = ACTIVATION_GAIN * blocks**-0.25
        self.widen = scaled_conv(dims, width, inner, 1, gain=gain, bias=True)
        self.mix = scaled_conv(dims, inner, inner, 3, gain=gain, groups=inner // spec.group_width, bias=True)
        self.narrow = scaled_conv(dims, inner, width, 1, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """``[b, width, *s]`` → the same shape."""
        y = functional.leaky_relu(self.widen(x), SLOPE)
        y = functional.leaky_relu(self.mix(y), SLOPE)
        change: Tensor = self.narrow(y)
        return x + change


class Generator(nn.Module):
    """Latent and condition → standardised image. Starts from a learnt basis of the coarsest level's size.

    The basis is scaled, channel by channel, by a linear map of the latent and the condition. Mask planes are added to
    the features of every level, at its size.
    """

    def __init__(self, spec: R3GanNetworkSpec, channels: int, vocabulary: Vocabulary, base: Sequence[int]) -> None:
        super().__init__()
        dims, widths = len(base), spec.channels[::-1]
        self.upsampling, self.pool_masks = UPSAMPLING[dims], ADAPTIVE_POOLING[dims]
        self.embedder = Embedder(vocabulary.sizes, len(vocabulary.measured), spec.embedding_size)
        self.basis = nn.Parameter(torch.randn(widths[0], *base))
        self.modulate = scaled_linear(spec.latent_size + spec.embedding_size, widths[0])
        blocks = spec.blocks * len(widths)
        self.stages = nn.ModuleList(_stage(dims, width, spec, blocks) for width in widths)
        self.narrow = nn.ModuleList(scaled_conv(dims, a, b, 1) for a, b in pairwise(widths))
        planes = vocabulary.planes
        self.see_mask = nn.ModuleList(scaled_conv(dims, planes, width, 1) for width in widths if planes)
        self.to_image = image_end(dims, widths[-1], channels, spec.patch)

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """``latent`` ``[b, latent_size]`` standard normal → ``[b, c, *s]``."""
        style = self.modulate(torch.cat([latent, self.embedder(condition.codes, condition.values)], 1))
        x = self.basis * style.view(*style.shape, *[1] * (self.basis.ndim - 1))
        for level, stage in enumerate(self.stages):
            if level:
                x = self.narrow[level - 1](x)
                x = functional.interpolate(x, scale_factor=2.0, mode=self.upsampling, align_corners=False)
            if len(self.see_mask):
                x = x + self.see_mask[level](self.pool_masks(condition.masks, x.shape[2:]))
            x = stage(x)
        image: Tensor = self.to_image(x).float()
        return image


class Discriminator(nn.Module):
    """Standardised image and condition → one logit: the features' projection on the condition's embedding.

    Projection after Miyato and Koyama (2018, arXiv 1802.05637), as R3GAN uses it, beside a learnt direction, so that a
    generator without conditions has a discriminator too. Mask planes stand beside the image's channels.
    """

    def __init__(self, spec: R3GanNetworkSpec, channels: int, vocabulary: Vocabulary, base: Sequence[int]) -> None:
        super().__init__()
        dims, widths = len(base), spec.channels
        self.pooling = POOLING[dims]
        blocks = spec.blocks * len(widths)
        self.planes = vocabulary.planes
        self.from_image = stem(dims, channels + self.planes, widths[0], spec.patch)
        self.stages = nn.ModuleList(_stage(dims, width, spec, blocks) for width in widths)
        self.widen = nn.ModuleList(scaled_conv(dims, a, b, 1) for a, b in pairwise(widths))
        self.pool = nn.Parameter(torch.randn(widths[-1], *base) / math.sqrt(math.prod(base)))
        self.to_embedding = scaled_linear(widths[-1], spec.embedding_size)
        self.direction = nn.Parameter(torch.randn(spec.embedding_size))
        self.embedder = Embedder(vocabulary.sizes, len(vocabulary.measured), spec.embedding_size)

    def forward(self, images: Tensor, condition: Condition) -> Tensor:
        """``images`` ``[b, c, *s]`` → logits ``[b]``, higher for real."""
        x = torch.cat([images, condition.masks.to(images)], 1) if self.planes else images
        x = self.stages[0](self.from_image(x))
        for widen, stage in zip(self.widen, list(self.stages)[1:], strict=True):
            x = stage(widen(self.pooling(x, 2)))
        features: Tensor = self.to_embedding((x * self.pool).flatten(2).sum(2)).float()
        projection: Tensor = self.direction + self.embedder(condition.codes, condition.values).float()
        return (features * projection).sum(1) / math.sqrt(projection.shape[1])


def stem(dims: int, inputs: int, outputs: int, patch: int) -> nn.Module:
    """``[b, inputs, *s]`` → ``[b, outputs, *(s / patch)]``: patches that overlap by half, so that seams are seen."""
    if patch == 1:
        return scaled_conv(dims, inputs, outputs, 3)
    kind: Any = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
    conv: nn.Module = kind(inputs, outputs, 2 * patch, stride=patch, padding=patch // 2, bias=False)
    nn.init.normal_(conv.weight, std=1 / math.sqrt(inputs * (2 * patch) ** dims))  # type: ignore[arg-type]
    return conv


def image_end(dims: int, inputs: int, outputs: int, patch: int) -> nn.Module:
    """``[b, inputs, *s]`` → ``[b, outputs, *(s · patch)]``. Starts as linear interpolation of a random projection.

    Patches overlap by half: a pixel of its own for each place in a patch would start as a grid that gives fakes away.
    """
    if patch == 1:
        return scaled_conv(dims, inputs, outputs, 3)
    kind: Any = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[dims]
    conv: nn.Module = kind(inputs, outputs, 2 * patch, stride=patch, padding=patch // 2, bias=False)
    hat = 1 - (torch.arange(2 * patch) - patch + 0.5).abs() / patch  # sums to 1 over each residue modulo patch
    kernel = torch.ones(())
    for _ in range(dims):
        kernel = kernel[..., None] * hat
    with torch.no_grad():
        weight: Tensor = conv.weight  # type: ignore[assignment]
        weight.copy_(torch.randn(inputs, outputs, *[1] * dims) / math.sqrt(inputs) * kernel)
    return conv


def _stage(dims: int, width: int, spec: R3GanNetworkSpec, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(dims, width, spec, blocks) for _ in range(spec.blocks)))
