"""The domain encoder: a small ResNet-18 that was trained on the cohort's own images. Training: domain_training.py."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from synthassay.errors import UserError
from synthassay.features.encoders import NetworkEncoder
from synthassay.features.pretrained import fill
from synthassay.features.weights import sha256_of
from synthassay.records import identity
from synthassay.specs import Resources
from synthassay.tensorfiles import read_tensors

NAME = "domain"
FILE = "encoder.safetensors"
_GROUP = 8  # channels that one group of a normalisation spans


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How an encoder came to be; kept in its file, and all of it part of its identity."""

    trained_on: str  # content id of the images
    settings: str  # digest of the spec
    seed: int
    network_width: int  # channels of its first stage
    channels: int  # of the images, like their height and width in pixels
    height: int
    width: int


def domain_encoder(folder: Path, resources: Resources) -> NetworkEncoder:
    """The encoder in ``folder``: images of the size and the channels that it was trained on → 8·width features.

    Its space was fitted to generator-train: distances *to generator-train images* are between images that it knows and
    images that it does not, so read it where both sides are new to it, synthetic images against test patients.
    """
    path = folder / FILE
    tensors, facts = read_tensors(path)
    made = Made(**facts)
    parts = identity(
        encoder=NAME, weights=sha256_of(path), trained_on=made.trained_on, settings=made.settings, seed=made.seed,
        layer="global average pool", channels=made.channels, resize="none",
        resolution=f"{made.height}x{made.width}", normalisation="2x-1", dtype="float32",
    )  # fmt: skip
    return NetworkEncoder(
        name=NAME, identity=parts, dimension=8 * made.network_width, load=partial(_load, tensors, made),
        resources=resources, channels=(made.channels,),
    )  # fmt: skip


def _load(tensors: dict[str, Tensor], made: Made) -> nn.Module:
    with torch.device("meta"):
        network = DomainNetwork(made.channels, made.network_width, (made.height, made.width))
    return fill(network, tensors, FILE)


class DomainNetwork(nn.Module):
    """ResNet-18 (He et al. 2016) with group normalisation: ``[b, c, h, w]`` float32 in [0, 1] → ``[b, 8·width]``.

    Group normalisation treats each image alone. Batch normalisation would let the two views of a training batch tell
    each other apart by their batch, and its running statistics would be one more thing that was fitted.
    """

    def __init__(self, channels: int, width: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        # A stem for small images: it halves them once, where the usual one halves them twice.
        stem = [nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False), _norm(width), nn.ReLU(inplace=True)]
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        stages = [_stage(a, b) for a, b in pairwise(widths)]
        self.layers = nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        """Centre the range on 0 and run."""
        if tuple(images.shape[2:]) != self.size:
            found, expected = ("×".join(map(str, size)) for size in (images.shape[2:], self.size))
            raise UserError(f"the domain encoder was trained on images of {expected} pixels; these have {found}")
        features: Tensor = self.layers(2.0 * images - 1.0)
        return features


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // _GROUP, channels)


def _stage(inside: int, outside: int) -> nn.Sequential:
    """Two blocks; a stage that is wider than the one before halves the image."""
    stride = 1 if inside == outside else 2
    shortcut = None
    if stride == 2:
        shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride=2, bias=False), _norm(outside))
    first = BasicBlock(inside, outside, stride, shortcut, norm_layer=_norm)
    return nn.Sequential(first, BasicBlock(outside, outside, norm_layer=_norm))
