"""The classifiers, built from MONAI's blocks: ``[n, c, h, w]`` float32 in, ``[n, 1]`` logits out."""

import torch
from torch import nn

from synthassay.downstream.specs import DenseNetSpec, NetworkSpec, ResNetSpec
from synthassay.errors import UserError

DENSENET_SIDE = 32  # smallest height and width


def resnet18(spec: ResNetSpec, channels: int) -> nn.Module:
    """ResNet-18 (He 2016) for ``channels`` input channels; weights come from torch's global generator."""
    from monai.networks.nets.resnet import ResNet  # takes seconds, and a run that finds everything done needs none

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
    from monai.networks.nets.densenet import DenseNet

    net: nn.Module = DenseNet(
        spatial_dims=2, in_channels=channels, out_channels=1, init_features=spec.width, growth_rate=spec.growth
    )
    return net


def memory_layout(spec: NetworkSpec, device: torch.device) -> torch.memory_format:
    """channels_last where it pays and is sound: on a GPU, and on a CPU for a ResNet of whole blocks of 16 channels.

    There it trains 1.5 times faster. With fewer than 8 input channels, the gradient of a strided 1x1 convolution in
    this layout writes past its buffer on a CPU (torch 2.15, oneDNN; the process aborts), so a width that leaves part
    of a block empty keeps the default layout.
    """
    whole_blocks = isinstance(spec, ResNetSpec) and spec.width % 16 == 0
    return torch.channels_last if device.type == "cuda" or whole_blocks else torch.contiguous_format


def seeded_network(spec: NetworkSpec, shape: tuple[int, ...], seed: int) -> nn.Module:
    """The network for images ``[c, h, w]``, its first weights from ``seed`` alone.

    torch's global generator is left as it was. Raises :class:`UserError` for images that a DenseNet halves to nothing.
    """
    channels, *sides = shape
    if isinstance(spec, DenseNetSpec) and min(sides) < DENSENET_SIDE:
        raise UserError(
            f"downstream.network=densenet121 halves images five times, but they have {min(sides)} pixels; "
            f"use cohort.size={DENSENET_SIDE} or larger, or downstream.network=resnet18"
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # not torch.manual_seed: it would reseed the GPU for good
        return spec.build(channels)
