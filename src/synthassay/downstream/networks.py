"""The classifiers, built from MONAI's blocks: ``[n, c, h, w]`` float32 in, ``[n, 1]`` logits out."""

import torch
from monai.networks.nets.densenet import DenseNet
from monai.networks.nets.resnet import ResNet
from torch import nn

from synthassay.downstream.specs import DenseNetSpec, NetworkSpec, ResNetSpec


def resnet18(spec: ResNetSpec, channels: int) -> nn.Module:
    """ResNet-18 (He 2016) for ``channels`` input channels; weights come from torch's global generator."""
    net: nn.Module = ResNet(
        block="basic",
        layers=[2, 2, 2, 2],
        block_inplanes=[spec.width * factor for factor in (1, 2, 4, 8)],
        spatial_dims=2,
        n_input_channels=channels,
        conv1_t_size=spec.stem_kernel,
        conv1_t_stride=spec.stem_stride,
        no_max_pool=not spec.stem_pool,
        num_classes=1,
        bias_downsample=False,
    )
    return net


def densenet121(spec: DenseNetSpec, channels: int) -> nn.Module:
    """DenseNet-121 (Huang 2017) for ``channels`` input channels; weights come from torch's global generator."""
    net: nn.Module = DenseNet(
        spatial_dims=2, in_channels=channels, out_channels=1, init_features=spec.width, growth_rate=spec.growth
    )
    return net


def seeded_network(spec: NetworkSpec, channels: int, seed: int) -> nn.Module:
    """The network whose first weights follow from ``seed`` alone; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return spec.build(channels)
