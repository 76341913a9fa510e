"""MedicalNet (Chen, Ma and Zheng 2019, arXiv 1904.00625): 3-D ResNets trained on 23 sets of CT and MRI."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from monai.networks.nets import resnet
from torch import Tensor, nn
from torch.nn import functional as F

from synthassay.errors import UserError
from synthassay.features.encoders import NetworkEncoder
from synthassay.features.pretrained import fill
from synthassay.features.weights import PinnedFile, found_weights, read_tensors
from synthassay.records import identity
from synthassay.specs import Resources

Depth = Literal[10, 18, 34, 50]
Intensity = Literal["fixed", "zscore"]

# The networks trained on 23 data sets. Sizes are given where a source states them.
_HUB = "https://huggingface.co/TencentMedicalNet/MedicalNet-Resnet"
_DIGESTS: dict[Depth, tuple[str, int | None]] = {
    10: ("afa8055f3e47f4a18239495d92a7abc587902c69c31c743de2b2784653b72605", 57_456_599),
    18: ("61224f9317fcce873366deb3703183e92cc47325b726b69691b33536244e10f4", None),
    34: ("3ea7188e396774e4ef95b66e5e90a78273bb33f6e58d3d717bf24f5f1aaeaa28", None),
    50: ("ff48a62219073fb977fd3f4ddfb8dc1367f0ec156c8d6f6c37e205bd683a246e", None),
}
WEIGHTS = {
    depth: PinnedFile(
        name=f"medicalnet-resnet{depth}-23dataset.pth", sha256=sha256, size=size,
        url=f"{_HUB}{depth}/resolve/main/resnet_{depth}_23dataset.pth",
    )
    for depth, (sha256, size) in _DIGESTS.items()
}  # fmt: skip
DIMENSION: dict[Depth, int] = {10: 512, 18: 512, 34: 512, 50: 2048}
CUDA_BATCH = 8
# MedicalNet standardises a scan by the mean and deviation of its voxels above 0. Windowed scans have about these.
FIXED_MEAN, FIXED_DEVIATION = 0.5, 0.25


def medicalnet(
    depth: Depth, resolution: int, intensity: Intensity, weights: str | None, sha256: str | None, resources: Resources
) -> NetworkEncoder:
    """The encoder of volumes ``[n, c, d, h, w]``: 512 features of a channel, 2,048 from depth 50.

    Every channel is encoded by itself, since the networks take one; the features stand beside each other. Volumes are
    resized to cubes of ``resolution`` voxels. Raises :class:`~synthassay.errors.UserError` for missing weights.
    """
    path, digest = found_weights(WEIGHTS[depth], weights, sha256)
    name = f"medicalnet-resnet{depth}"
    scale = f"(x-{FIXED_MEAN})/{FIXED_DEVIATION} of [0,1]" if intensity == "fixed" else "z-score of each volume's x>0"
    parts = identity(
        encoder=name, weights=digest, layer="global average pool", channels="one", resize="torch-trilinear-antialias",
        resolution=resolution, normalisation=scale, dtype="float32",
    )  # fmt: skip
    return NetworkEncoder(
        name=name, identity=parts, dimension=DIMENSION[depth], resources=resources, channels=(1,), spatial=3,
        load=partial(MedicalNet, path, depth, resolution, intensity), cuda_batch=CUDA_BATCH,
    )  # fmt: skip


class MedicalNet(nn.Module):
    """``[b, 1, d, h, w]`` float32 in [0, 1] → ``[b, 512 or 2048]`` float32.

    ``intensity="fixed"`` maps all volumes alike. ``"zscore"`` standardises each volume by its own voxels above 0, as
    MedicalNet was trained, and so cannot see that all synthetic volumes are too bright or too flat.
    """

    def __init__(self, weights: Path, depth: Depth, resolution: int, intensity: Intensity) -> None:
        super().__init__()
        self.resolution, self.intensity = resolution, intensity
        state = read_tensors(weights)
        state = state.get("state_dict", state)
        if not all(isinstance(value, Tensor) for value in state.values()):
            raise UserError(f"{weights.name} holds other weights than MedicalNet's: its state_dict has no tensors")
        with torch.device("meta"):
            network = residual_network(depth)
        self.network = fill(network, {name.removeprefix("module."): t for name, t in state.items()}, weights.name)

    def forward(self, volumes: Tensor) -> Tensor:
        """Resize, standardise, run."""
        volumes = resized_volumes(volumes, self.resolution)
        if self.intensity == "fixed":
            volumes = (volumes - FIXED_MEAN) / FIXED_DEVIATION
        else:
            volumes = standardised(volumes)
        features: Tensor = self.network(volumes)
        return features


def residual_network(depth: Depth) -> nn.Module:
    """MONAI's 3-D ResNet as MedicalNet uses it: the last two stages dilate instead of halving the volume."""
    build = {10: resnet.resnet10, 18: resnet.resnet18, 34: resnet.resnet34, 50: resnet.resnet50}[depth]
    _, shortcut = resnet.get_medicalnet_pretrained_resnet_args(depth)
    network: nn.Module = build(
        spatial_dims=3, n_input_channels=1, conv1_t_stride=2, feed_forward=False, shortcut_type=shortcut,
        bias_downsample=False,
    )  # fmt: skip
    _dilate(network.get_submodule("layer3"), 2)
    _dilate(network.get_submodule("layer4"), 4)
    return network


def _dilate(stage: nn.Module, rate: int) -> None:
    """Replace the stride of a stage by a dilation, which no option of MONAI's does."""
    blocks: Iterable[Any] = stage.children()
    for block in blocks:
        if isinstance(block.downsample, partial):  # a shortcut without weights: subsample, fill with zero channels
            block.downsample = partial(block.downsample, stride=1)
    for conv in (module for module in stage.modules() if isinstance(module, nn.Conv3d)):
        conv.stride = (1, 1, 1)
        if conv.kernel_size == (3, 3, 3):
            conv.dilation = conv.padding = (rate, rate, rate)


def resized_volumes(volumes: Tensor, side: int) -> Tensor:
    """``[b, c, d, h, w]`` → ``[b, c, side, side, side]``, trilinear with antialiasing.

    torch has no antialiased filter of volumes; a filter along h and w, and one along d, are the same thing.
    """
    b, c, d, *_ = volumes.shape
    planes = F.interpolate(volumes.flatten(1, 2), size=(side, side), mode="bilinear", antialias=True)
    columns = planes.view(b, c, d, side * side)
    cubes = F.interpolate(columns, size=(side, side * side), mode="bilinear", antialias=True)
    return cubes.view(b, c, side, side, side)


def standardised(volumes: Tensor) -> Tensor:
    """Each volume less the mean and over the deviation of its voxels above 0; an empty one becomes 0."""
    inside = volumes > 0
    count = inside.sum(dim=(1, 2, 3, 4), keepdim=True).clamp(min=1)
    centred = volumes - (volumes * inside).sum(dim=(1, 2, 3, 4), keepdim=True) / count
    deviation = ((centred.square() * inside).sum(dim=(1, 2, 3, 4), keepdim=True) / count).sqrt()
    return centred / deviation.clamp(min=1e-6)
