"""Settings of the downstream comparison. Pydantic only: importing this file stays fast."""

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from synthassay.specs import Spec

if TYPE_CHECKING:
    from torch import nn


class NetworkSpec(Spec):
    """What every classifier has: an input of ``[n, c, h, w]`` and one logit."""

    def build(self, channels: int) -> "nn.Module":
        """The network with freshly drawn weights, from torch's global generator (fork and seed it around the call)."""
        raise NotImplementedError(f"{type(self).__name__} names no network")


class ResNetSpec(NetworkSpec):
    """MONAI's two-dimensional ResNet-18 (He 2016), as wide as asked."""

    kind: Literal["resnet18"] = "resnet18"
    width: int = Field(default=64, ge=4)  # channels of the first block; the others have 2, 4 and 8 times as many
    stem_kernel: int = Field(default=7, ge=3)
    stem_stride: int = Field(default=2, ge=1)
    stem_pool: bool = True  # a further halving by max pooling: 2.6 times faster at 64x64

    def build(self, channels: int) -> "nn.Module":
        """A ResNet-18 of ``channels`` inputs."""
        from synthassay.downstream.networks import resnet18

        return resnet18(self, channels)


class DenseNetSpec(NetworkSpec):
    """MONAI's two-dimensional DenseNet-121 (Huang 2017)."""

    kind: Literal["densenet121"] = "densenet121"
    width: int = Field(default=64, ge=4)  # channels of the first convolution
    growth: int = Field(default=32, ge=2)

    def build(self, channels: int) -> "nn.Module":
        """A DenseNet-121 of ``channels`` inputs."""
        from synthassay.downstream.networks import densenet121

        return densenet121(self, channels)


class AugmentationSpec(Spec):
    """Random changes of every training image, the same in every arm."""

    kind: Literal["augmentation"] = "augmentation"
    flip: bool = True  # left to right, with probability one half; switch it off where the side matters
    shift: int = Field(default=4, ge=0)  # pixels, uniform in [-shift, shift] along both axes; edges are repeated
    contrast: float = Field(default=0.1, ge=0)  # s.d. of the factor's deviation from 1
    brightness: float = Field(default=0.1, ge=0)  # s.d. of the offset, in standard deviations of generator-train


class IntervalSpec(Spec):
    """How intervals are made, and which groups are large enough to have a value."""

    kind: Literal["patient-bootstrap"] = "patient-bootstrap"
    replicates: int = Field(default=1000, ge=100)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    min_patients: int = Field(default=5, ge=2)  # a group with fewer is absent
    min_patients_per_class: int = Field(default=3, ge=1)  # likewise, with and without the finding


class DownstreamSpec(Spec):
    """One classifier per arm and seed: real, synthetic, both, and real with as many steps as both."""

    kind: Literal["downstream"] = "downstream"
    network: ResNetSpec | DenseNetSpec = Field(default_factory=ResNetSpec, discriminator="kind")
    steps: int = Field(default=400, ge=1)  # of the real and the synthetic arms
    both_factor: int = Field(default=2, ge=1)  # both and real-long train this many times as long
    real_share: float = Field(default=0.5, gt=0, lt=1)  # of the draws of both
    batch_size: int = Field(default=32, ge=4)
    learning_rate: float = Field(default=2e-3, gt=0)  # highest value of the one-cycle schedule
    weight_decay: float = Field(default=0.05, ge=0)
    warmup: float = Field(default=0.2, ge=0, lt=1)  # share of the steps over which the learning rate rises
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    augmentation: AugmentationSpec = Field(default_factory=AugmentationSpec)
    checkpoint: Literal["last", "best"] = "last"  # best: highest AUROC on validation
    evaluate_every: int = Field(default=100, ge=1)  # steps between looks at validation, with checkpoint=best
    save_every: int = Field(default=500, ge=1)  # steps between the states that a killed run goes on from
    specificity: float = Field(default=0.9, gt=0, lt=1)  # at which the threshold is fixed on validation
    ece_bins: int = Field(default=15, ge=2)
    ridge: float = Field(default=1.0, ge=0)  # penalty of the metadata baseline, in units of one observation
    group_by: tuple[str, ...] = ("site", "device")
    intervals: IntervalSpec = Field(default_factory=IntervalSpec)

    @model_validator(mode="after")
    def _distinct_seeds(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"downstream.seeds holds a seed twice: {self.seeds}; list each seed once")
        return self
