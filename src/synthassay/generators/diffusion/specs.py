"""Settings of sampling by diffusion: none of them needs another training. Light: imports no torch."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from synthassay.generators.diffusion.solvers import SOLVERS
from synthassay.specs import Spec

SolverName = Literal[
    "dpmpp-2m", "heun", "stochastic-heun", "euler", "ddim", "ancestral", "flow-euler", "flow-heun"
]  # fmt: skip


class KarrasSpec(Spec):
    """Noise levels of EDM (Karras et al. 2022, equation 5)."""

    kind: Literal["karras"] = "karras"
    sigma_min: float = Field(default=0.002, gt=0)
    sigma_max: float | None = Field(default=None, gt=0)  # None: fitted to the size of the images, ``fitted_sigma_max``
    rho: float = Field(default=7.0, gt=0)  # larger: more of the steps at low noise

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.sigma_max is not None and self.sigma_min >= self.sigma_max:
            raise ValueError(f"sigma_min={self.sigma_min} must be below sigma_max={self.sigma_max}")
        return self


class TimestepsSpec(Spec):
    """A subset of the timesteps that a DDPM was trained on; the model's own noise schedule gives their levels."""

    kind: Literal["timesteps"] = "timesteps"
    spacing: Literal["leading", "trailing"] = "trailing"  # leading: as DDIM's paper, which leaves the noisiest out


class UniformTSpec(Spec):
    """Even steps in the time of a rectified flow, 0 for an image and 1 for noise."""

    kind: Literal["uniform-t"] = "uniform-t"
    t_max: float = Field(default=0.999, gt=0, lt=1)  # where sampling starts; at 1 the image would have no weight
    shift: float = Field(default=1.0, gt=0)  # above 1: more of the steps at high noise


Schedule = Annotated[KarrasSpec | TimestepsSpec | UniformTSpec, Field(discriminator="kind")]


class GuidanceSpec(Spec):
    """D = D_weak + scale·(D − D_weak) between two noise levels."""

    kind: Literal["none", "cfg", "weaker"] = "none"  # what D_weak is: the model without its condition, or a weaker one
    scale: float = Field(default=1.0, ge=0)  # 1: no guidance, and no second evaluation
    sigma_min: float = Field(default=0.0, ge=0)  # guided above this level only
    sigma_max: float | None = Field(default=None, gt=0)  # and up to this one; None: from the start

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind == "none" and self.scale != 1:
            raise ValueError(f"guidance.scale={self.scale} with guidance.kind=none; choose cfg or weaker, or scale 1")
        if self.sigma_max is not None and self.sigma_min >= self.sigma_max:
            raise ValueError(f"guidance.sigma_min={self.sigma_min} must be below guidance.sigma_max={self.sigma_max}")
        return self

    @property
    def active(self) -> bool:
        """Whether a second denoiser is needed."""
        return self.kind != "none" and self.scale != 1

    @property
    def by_a_weaker_model(self) -> bool:
        """Whether that is an earlier state of the training."""
        return self.active and self.kind == "weaker"


class SamplingSpec(Spec):
    """How noise becomes an image."""

    kind: Literal["diffusion-sampling"] = "diffusion-sampling"
    solver: SolverName = "dpmpp-2m"
    steps: int = Field(default=30, ge=2)
    schedule: Schedule = KarrasSpec()
    eta: float = Field(default=0.0, ge=0, le=1)  # ddim only: 0 adds no noise, 1 is ancestral
    churn: float = Field(default=0.0, ge=0)  # stochastic-heun only: noise added over all steps, EDM's S_churn
    clip: bool = False  # the expected clean image is kept to the range of real ones, as DDPM's code does
    guidance: GuidanceSpec = GuidanceSpec()

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        solver = SOLVERS[self.solver]
        if self.schedule.kind not in solver.schedules:
            raise ValueError(f"solver={self.solver} does not go with schedule.kind={self.schedule.kind}; "
                             f"choose {' or '.join(solver.schedules)}")  # fmt: skip
        for name in ("eta", "churn"):
            if getattr(self, name) and name not in solver.settings:
                takers = [other for other, entry in SOLVERS.items() if name in entry.settings]
                raise ValueError(f"{name}={getattr(self, name)} has no effect with solver={self.solver}; "
                                 f"set it to 0, or choose {' or '.join(takers)}")  # fmt: skip
        return self


# Defaults: settings that benchmarks/samplers.py finds non-inferior to DDPM_ANCESTRAL by 5%.
EDM_SAMPLING = SamplingSpec()
DDPM_SAMPLING = SamplingSpec(steps=30, schedule=TimestepsSpec(), clip=True)
DDPM_ANCESTRAL = SamplingSpec(solver="ancestral", steps=1000, schedule=TimestepsSpec(), clip=True)
FLOW_SAMPLING = SamplingSpec(solver="flow-heun", steps=20, schedule=UniformTSpec())
