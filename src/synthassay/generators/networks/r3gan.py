"""Generator and discriminator after R3GAN (Huang et al. 2024): residual, grouped convolutions, no normalisation."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.conditioning.embedding import Embedder
from synthassay.generators.specs import R3GanNetworkSpec

SLOPE = 0.2  # of the leaky ReLU
ACTIVATION_GAIN = math.sqrt(2 / (1 + SLOPE**2))


def scaled_conv(
    inputs: int, outputs: int, size: int, *, gain: float = 1.0, groups: int = 1, bias: bool = False
) -> nn.Conv2d:
    """A convolution with weights from N(0, gain²/fan_in); gain 0 starts at zero."""
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=bias)
    fan_in = inputs // groups * size**2
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

    def __init__(self, width: int, spec: R3GanNetworkSpec, blocks: int) -> None:
        super().__init__()
        inner = width * spec.expansion
        gain = ACTIVATION_GAIN * blocks**-0.25
        self.widen = scaled_conv(width, inner, 1, gain=gain, bias=True)
        self.mix = scaled_conv(inner, inner, 3, gain=gain, groups=inner // spec.group_width, bias=True)
        self.narrow = scaled_conv(inner, width, 1, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """``[b, width, h, w]`` → the same shape."""
        y = functional.leaky_relu(self.widen(x), SLOPE)
        y = functional.leaky_relu(self.mix(y), SLOPE)
        change: Tensor = self.narrow(y)
        return x + change


class Generator(nn.Module):
    """Latent and class → standardised image. Starts from a learnt 4×4 (or so) basis scaled by the latent."""

    def __init__(self, spec: R3GanNetworkSpec, channels: int, vocabulary: Vocabulary, base: tuple[int, ...]) -> None:
        super().__init__()
        self.patch = spec.patch
        widths = spec.channels[::-1]
        self.embedder = Embedder(vocabulary.sizes, len(vocabulary.measured), spec.embedding_size)
        self.basis = nn.Parameter(torch.randn(widths[0], *base))
        self.modulate = scaled_linear(spec.latent_size + spec.embedding_size, widths[0])
        blocks = spec.blocks * len(widths)
        self.stages = nn.ModuleList(_stage(width, spec, blocks) for width in widths)
        self.narrow = nn.ModuleList(scaled_conv(a, b, 1) for a, b in pairwise(widths))
        self.to_image = scaled_conv(widths[-1], channels, 3)

    def forward(self, latent: Tensor, condition: Condition) -> Tensor:
        """``latent`` ``[b, latent_size]`` standard normal → ``[b, c, h, w]``."""
        style = self.modulate(torch.cat([latent, self.embedder(condition.codes, condition.values)], 1))
        x = self.stages[0](self.basis * style[:, :, None, None])
        for narrow, stage in zip(self.narrow, list(self.stages)[1:], strict=True):
            x = stage(functional.interpolate(narrow(x), scale_factor=2.0, mode="bilinear", align_corners=False))
        if self.patch > 1:  # unfolding pixels here leaves a grid that the discriminator wins by; smooth growth does not
            x = functional.interpolate(x, scale_factor=float(self.patch), mode="bilinear", align_corners=False)
        image: Tensor = self.to_image(x).float()
        return image


class Discriminator(nn.Module):
    """Standardised image and class → one logit: the features' projection on the class embedding.

    Projection after Miyato and Koyama (2018, arXiv 1802.05637), as R3GAN uses it.
    """

    def __init__(self, spec: R3GanNetworkSpec, channels: int, vocabulary: Vocabulary, base: tuple[int, ...]) -> None:
        super().__init__()
        self.patch = spec.patch
        widths = spec.channels
        blocks = spec.blocks * len(widths)
        self.from_image = scaled_conv(channels * spec.patch**2, widths[0], 1)
        self.stages = nn.ModuleList(_stage(width, spec, blocks) for width in widths)
        self.widen = nn.ModuleList(scaled_conv(a, b, 1) for a, b in pairwise(widths))
        self.pool = nn.Parameter(torch.randn(widths[-1], *base) / math.sqrt(base[0] * base[1]))
        self.to_embedding = scaled_linear(widths[-1], spec.embedding_size)
        self.embedder = Embedder(vocabulary.sizes, len(vocabulary.measured), spec.embedding_size)

    def forward(self, images: Tensor, condition: Condition) -> Tensor:
        """``images`` ``[b, c, h, w]`` → logits ``[b]``, higher for real."""
        x = self.stages[0](self.from_image(functional.pixel_unshuffle(images, self.patch)))
        for widen, stage in zip(self.widen, list(self.stages)[1:], strict=True):
            x = stage(widen(functional.avg_pool2d(x, 2)))
        features: Tensor = self.to_embedding((x * self.pool).sum((2, 3))).float()
        projection: Tensor = self.embedder(condition.codes, condition.values).float()
        return (features * projection).sum(1) / math.sqrt(projection.shape[1])


def _stage(width: int, spec: R3GanNetworkSpec, blocks: int) -> nn.Sequential:
    layers: Sequence[nn.Module] = [ResidualBlock(width, spec, blocks) for _ in range(spec.blocks)]
    return nn.Sequential(*layers)
