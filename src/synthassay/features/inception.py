"""The Inception-v3 that the name FID stands for (Heusel et al. 2017, arXiv 1706.08500), as ported by torch-fidelity."""

import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from synthassay.features.encoders import NetworkEncoder
from synthassay.features.preparation import RESIZES, Resize
from synthassay.features.weights import PinnedFile, found_weights, read_tensors
from synthassay.records import identity
from synthassay.specs import Resources

NAME = "fid-inception"
LAYER = "2048"
SIDE = 299
WEIGHTS = PinnedFile(
    name="weights-inception-2015-12-05-6726825d.pth",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    size=95_628_359,
)

# The three ways to reach 299 pixels, and with them three values of the FID that must not be compared: TensorFlow 1's
# bilinear (the original, torch-fidelity), PIL's bicubic (clean-fid, Parmar et al. 2022, arXiv 2104.11222), and torch's
# antialiased bilinear (torchmetrics from 1.8).
Convention = Literal["tf1", "clean", "antialias"]
CONVENTIONS: Mapping[Convention, Resize] = {
    "tf1": "tf1-bilinear",
    "clean": "pil-bicubic",
    "antialias": "torch-bilinear-antialias",
}


def fid_inception(convention: Convention, weights: str | None, resources: Resources) -> NetworkEncoder:
    """The encoder, with the weights in the file ``weights`` or, when None, in the cache (downloaded if absent).

    Raises :class:`~synthassay.errors.UserError` when the file is absent, wrong, or cannot be downloaded.
    """
    path, digest = found_weights(WEIGHTS, weights)
    rule = CONVENTIONS[convention]
    name = NAME if convention == "tf1" else f"{NAME}-{convention}"
    parts = identity(
        encoder=name, weights=digest, layer=LAYER, channels="grey repeated to RGB", resize=f"{rule}-{SIDE}",
        resolution=SIDE, normalisation="(x-128)/128 of 8-bit pixels", dtype="float32",
    )  # fmt: skip
    return NetworkEncoder(
        name=name, identity=parts, dimension=int(LAYER), load=partial(load, path, rule), resources=resources
    )


def load(path: Path, rule: Resize = "tf1-bilinear") -> nn.Module:
    """The network with the weights at ``path``."""
    return FidInception(read_tensors(path), rule)


class FidInception(nn.Module):
    """``[b, 1 or 3, h, w]`` float32 in [0, 1] → ``[b, 2048]`` float32.

    Pixels are rounded to 8 bits first, since the FID is defined on 8-bit images; those of 8-bit sets come back exactly.
    They are not rounded again after the resizing, whatever its rule.
    """

    def __init__(self, state: dict[str, Any], rule: Resize) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        super().__init__()
        self.resize = RESIZES[rule]
        # torch-fidelity unpickles the file it is given. It gets tensors that were read without unpickling instead.
        safe = io.BytesIO()
        torch.save(state, safe)
        safe.seek(0)
        network = FeatureExtractorInceptionV3(NAME, [LAYER], feature_extractor_weights_path=safe)
        # Its own forward resizes by the first rule only. Its parts stand in the order in which it runs them.
        self.body = nn.Sequential(*(part for name, part in network.named_children() if name != "fc"), nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        """Round to 8 bits, resize, normalise, repeat grey to RGB, run."""
        pixels = self.resize(torch.round(images * 255.0), SIDE).clamp(0.0, 255.0)
        features: Tensor = self.body(((pixels - 128.0) / 128.0).expand(-1, 3, -1, -1))
        return features
