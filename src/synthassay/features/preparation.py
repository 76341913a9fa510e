"""From images in [0, 1] to what a network was trained on: channels, size, intensity. Each rule has a name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Channels = Literal["rgb", "bgr", "grey"]

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_CHANNELS: Mapping[Channels, str] = {
    "rgb": "grey repeated to RGB",
    "bgr": "grey repeated to BGR, RGB reversed to BGR",
    "grey": "RGB averaged to grey",
}


def tf1_bilinear(images: Tensor, side: int) -> Tensor:
    """Bilinear interpolation as TensorFlow 1 did it: corners aligned to the upper left, no antialiasing.

    It is what the Inception network of the FID was first run with, and what torch-fidelity repeats.
    """
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    resized: Tensor = interpolate_bilinear_2d_like_tensorflow1x(images, size=(side, side), align_corners=False)
    return resized


def bilinear_antialias(images: Tensor, side: int) -> Tensor:
    """torch's antialiased bilinear interpolation: a triangle filter as wide as the pixels of the smaller image."""
    return F.interpolate(images, size=(side, side), mode="bilinear", antialias=True, align_corners=False)


def pil_bicubic(images: Tensor, side: int) -> Tensor:
    """PIL's bicubic filter (Keys, a = -0.5, antialiased) on each channel as floats; it may overshoot the range.

    In float64: torch's float32 weights are off by up to 0.01 of an 8-bit step. The rest differs from PIL by rounding.
    """
    size = (side, side)
    return F.interpolate(images.double(), size=size, mode="bicubic", antialias=True, align_corners=False).float()


Resize = Literal["tf1-bilinear", "torch-bilinear-antialias", "pil-bicubic"]
RESIZES: Mapping[Resize, Callable[[Tensor, int], Tensor]] = {
    "tf1-bilinear": tf1_bilinear,
    "torch-bilinear-antialias": bilinear_antialias,
    "pil-bicubic": pil_bicubic,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What happens to an image before a network sees it.

    Both sides are resized to ``resolution``, so the aspect ratio is not kept and nothing is cropped away: what a
    generator does at the border counts. ``mean`` and ``deviation`` are per channel of the network, on the scale where
    pixels are in [0, 1].
    """

    resolution: int
    resize: Resize = "pil-bicubic"
    channels: Channels = "rgb"
    mean: tuple[float, ...] = IMAGENET_MEAN
    deviation: tuple[float, ...] = IMAGENET_DEVIATION

    def parts(self) -> dict[str, object]:
        """What enters the encoder's identity."""
        mean, deviation = (",".join(f"{v:.9g}" for v in values) for values in (self.mean, self.deviation))
        return {
            "channels": _CHANNELS[self.channels], "resize": self.resize, "resolution": self.resolution,
            "normalisation": f"(x-[{mean}])/[{deviation}] of [0,1]",
        }  # fmt: skip


class PreparedNetwork(nn.Module):
    """``[b, 1 or 3, h, w]`` float32 in [0, 1] → preparation → ``network`` → ``[b, d]`` float32."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, preparation: Preparation, network: nn.Module) -> None:
        super().__init__()
        self.preparation, self.network = preparation, network
        self.register_buffer("mean", torch.tensor(preparation.mean).view(1, -1, 1, 1))
        self.register_buffer("deviation", torch.tensor(preparation.deviation).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Channels, resize, normalise, run."""
        rules = self.preparation
        if rules.channels == "grey":
            images = images.mean(1, keepdim=True)
        elif rules.channels == "bgr":
            images = images.flip(1)
        # Grey images are resized with one channel; the normalisation repeats it: the same numbers for less work.
        images = RESIZES[rules.resize](images, rules.resolution).clamp(0.0, 1.0)
        features: Tensor = self.network((images - self.mean) / self.deviation)
        return features
