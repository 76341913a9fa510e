"""The Inception-v3 that the name FID stands for (Heusel et al. 2017, arXiv 1706.08500), as ported by torch-fidelity."""

import io
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from synthassay.features.encoders import NetworkEncoder
from synthassay.features.weights import PinnedFile, fetch_weights, given_weights
from synthassay.records import identity
from synthassay.specs import Resources

NAME = "fid-inception"
LAYER = "2048"
WEIGHTS = PinnedFile(
    name="weights-inception-2015-12-05-6726825d.pth",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    size=95_628_359,
)


def fid_inception(weights: str | None, resources: Resources) -> NetworkEncoder:
    """The encoder, with the weights in the file ``weights`` or, when None, in the cache (downloaded if absent).

    Raises :class:`~synthassay.errors.UserError` when the file is absent, wrong, or cannot be downloaded.
    """
    path = given_weights(WEIGHTS, weights) if weights is not None else fetch_weights(WEIGHTS)
    parts = identity(
        encoder=NAME, weights=WEIGHTS.sha256, layer=LAYER, channels="grey repeated to RGB", resize="tf1-bilinear-299",
        resolution=299, normalisation="(x-128)/128 of 8-bit pixels", dtype="float32",
    )  # fmt: skip
    return NetworkEncoder(
        name=NAME, identity=parts, dimension=int(LAYER), load=partial(load, path), resources=resources
    )


def load(path: Path) -> nn.Module:
    """The network with the weights at ``path``."""
    return FidInception(torch.load(path, map_location="cpu", weights_only=True))


class FidInception(nn.Module):
    """``[b, 1 or 3, h, w]`` float32 in [0, 1] → ``[b, 2048]`` float32.

    Pixels are rounded to 8 bits first, since the FID is defined on 8-bit images; those of 8-bit sets come back exactly.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        super().__init__()
        # torch-fidelity unpickles the file it is given. It gets tensors that were read without unpickling instead.
        safe = io.BytesIO()
        torch.save(state, safe)
        safe.seek(0)
        self.network = FeatureExtractorInceptionV3(NAME, [LAYER], feature_extractor_weights_path=safe)

    def forward(self, images: Tensor) -> Tensor:
        """Round to 8 bits, repeat grey to RGB, run; resizing and normalising are the network's own."""
        pixels = torch.round(images * 255.0).to(torch.uint8).expand(-1, 3, -1, -1)
        (features,) = self.network(pixels)
        return torch.as_tensor(features)
