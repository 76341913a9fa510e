"""Settings of the diffusion and flow families."""

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from synthassay.generators.diffusion.specs import DDPM_SAMPLING, FLOW_SAMPLING, SamplingSpec
from synthassay.generators.networks.specs import MagnitudePreservingSpec, UNetSpec
from synthassay.generators.specs import Compile, GeneratorSpec, Name, TrainingSpec
from synthassay.specs import Spec

if TYPE_CHECKING:
    from synthassay.generators.protocol import TrainedFamily


class EdmNoiseSpec(Spec):
    """Noise levels in training: ln(sigma) ~ N(p_mean, p_std²) (Karras et al. 2022, table 1)."""

    kind: Literal["edm-noise"] = "edm-noise"
    p_mean: float = -1.2
    p_std: float = Field(default=1.2, gt=0)
    weighting: Literal["edm", "learnt"] = "edm"  # learnt: divided by the loss to expect (Karras et al. 2024, EDM2)


class DdpmNoiseSpec(Spec):
    """The variance-preserving process: its schedule and its number of timesteps."""

    kind: Literal["ddpm-noise"] = "ddpm-noise"
    schedule: Literal["linear", "cosine"] = "cosine"
    prediction: Literal["epsilon", "v"] = "epsilon"  # what the network predicts; v needs far fewer steps of training
    timesteps: int = Field(default=1000, ge=20)


class FlowNoiseSpec(Spec):
    """Times in training: logit-normal, of which ``mean`` and ``std`` are those of logit(t), or uniform."""

    kind: Literal["flow-noise"] = "flow-noise"
    times: Literal["logit-normal", "uniform"] = "logit-normal"
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)


class DiffusionSpec(GeneratorSpec):
    """Base of the families whose images come from noise in many steps."""

    network: Annotated[UNetSpec | MagnitudePreservingSpec, Field(discriminator="kind")] = UNetSpec()
    training: TrainingSpec = TrainingSpec()
    sampling: SamplingSpec = SamplingSpec()
    ema_width: float | None = Field(default=None, gt=0, le=0.28)  # of the average to sample, with training.ema=power
    compile: Compile = "auto"  # torch.compile; falls back, with a warning, where it fails

    @model_validator(mode="after")
    def _averaged(self) -> Self:
        if self.ema_width is not None and self.training.ema != "power":
            raise ValueError(f"ema_width={self.ema_width} needs training.ema=power; set it to null, or train so")
        return self


class EdmSpec(DiffusionSpec):
    """EDM diffusion (Karras et al. 2022, arXiv 2206.00364)."""

    kind: Literal["edm"] = "edm"
    name: Name = "edm"
    noise: EdmNoiseSpec = EdmNoiseSpec()

    def build(self) -> "TrainedFamily":
        """The EDM family."""
        from synthassay.generators.edm import EdmFamily

        return EdmFamily(self)


class DdpmSpec(DiffusionSpec):
    """DDPM (Ho et al. 2020, arXiv 2006.11239), the classic reference."""

    kind: Literal["ddpm"] = "ddpm"
    name: Name = "ddpm"
    noise: DdpmNoiseSpec = DdpmNoiseSpec()
    sampling: SamplingSpec = DDPM_SAMPLING

    def build(self) -> "TrainedFamily":
        """The DDPM family."""
        from synthassay.generators.ddpm import DdpmFamily

        return DdpmFamily(self)


class FlowSpec(DiffusionSpec):
    """Rectified flow (Liu et al. 2022, arXiv 2209.03003)."""

    kind: Literal["flow"] = "flow"
    name: Name = "flow"
    noise: FlowNoiseSpec = FlowNoiseSpec()
    sampling: SamplingSpec = FLOW_SAMPLING

    def build(self) -> "TrainedFamily":
        """The flow family."""
        from synthassay.generators.flow import FlowFamily

        return FlowFamily(self)
