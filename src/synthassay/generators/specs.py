"""Settings of the generators. Light: the networks are imported when a spec is built."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, computed_field, field_validator, model_validator

from synthassay.generators.training.private_specs import DpSpec
from synthassay.specs import Spec

if TYPE_CHECKING:
    from synthassay.generators.protocol import TrainedFamily

ConditionName = Literal["auto", "label", "site", "device", "sex", "age_band", "slice_position", "mask"]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]  # also a folder and an id
Precision = Literal["auto", "float32", "bfloat16"]
Compile = bool | Literal["auto", "graphs"]  # auto: on a GPU, in long trainings; graphs: with CUDA graphs
SAMPLING_FIELDS = frozenset({"name", "images", "sample_batch", "sampling", "ema_width"})


class TrainingSpec(Spec):
    """How a generator is optimised. All counts are steps or images, never seconds, so that results repeat."""

    kind: Literal["training"] = "training"
    steps: int = Field(default=1000, ge=1)
    batch_size: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = Field(default=50, ge=0)  # the learning rate rises linearly over these
    schedule: Literal["constant", "cosine", "inverse-sqrt"] = "cosine"  # after the warm-up; cosine ends at 0
    constant_steps: int = Field(default=0, ge=0)  # inverse-sqrt: the rate falls as 1/√step from here on
    ema: Literal["half-life", "power"] = "half-life"  # power: EDM2's, of two relative widths
    ema_half_life: int = Field(default=50_000, ge=1)  # images after which a weight's share in the average has halved
    ema_ramp: float = Field(default=0.05, gt=0, le=1)  # early on the half-life is this share of the images seen so far
    gradient_clip: float = Field(default=1.0, ge=0)  # largest norm of the gradient; 0 does not clip
    beta1: float = Field(default=0.9, ge=0, lt=1)  # of AdamW
    beta2: float = Field(default=0.99, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    snapshots: int = Field(default=4, ge=1)  # evenly spaced states to choose from afterwards; the last is the end
    log_every: int = Field(default=20, ge=1)  # steps averaged into one row of losses.csv
    precision: Precision = "auto"  # auto: bfloat16 autocast on CUDA, float32 elsewhere
    # Stops a training whose loss stays this many times its range above its start; None: only one that is not finite.
    # It decides whether there is a result, not which, so that it is in no key.
    explosion: float | None = Field(default=10.0, gt=0, exclude=True)


class GeneratorSpec(Spec):
    """Base of every trained generator. ``name`` is what tables and plots show."""

    positive_control: ClassVar[bool] = False  # True: trained to memorise, so that detectors can be seen to find it
    not_private: ClassVar[str] = ""  # why there is no differentially private training of it; empty: there is

    name: Name
    condition_on: tuple[ConditionName, ...] = ("auto",)  # auto: the label, where the cohort has labels
    condition_dropout: float = Field(default=0.1, ge=0, lt=1)  # share of training rows in which a column is missing
    images: int | None = Field(default=None, ge=1)  # how many to sample; None: as many as generator-train has
    sample_batch: int = Field(default=32, ge=1)  # images per evaluation when sampling; a short one is padded to it
    private: DpSpec | None = None  # differentially private training
    init_from: Path | None = Field(
        default=None, exclude=True
    )  # folder of a finished training whose weights to start with

    @computed_field  # type: ignore[prop-decorator]
    @property
    def initial_weights(self) -> str | None:
        """Digest of what ``init_from`` holds, which stands for it in keys."""
        if self.init_from is None:
            return None
        from synthassay.generators.training.initial import initial_digest

        return initial_digest(self.init_from)

    @model_validator(mode="after")
    def _can_be_private(self) -> Self:
        if self.private is not None and self.not_private:
            raise ValueError(f"private={self.private.kind} is not for {self.name}: {self.not_private}")
        if self.private is not None and "mask" in self.condition_on:
            raise ValueError("private=dp with mask in condition_on: images would be drawn for the masks of training "
                             "patients, which no noise protects; leave mask out")  # fmt: skip
        return self

    @field_validator("condition_on")
    @classmethod
    def _distinct(cls, value: tuple[ConditionName, ...]) -> tuple[ConditionName, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"condition_on={list(value)} names a column twice; name each once")
        return value

    def training_key(self) -> dict[str, Any]:
        """What the trained weights depend on: :meth:`to_key` without name, image count and sampling settings."""
        return {field: value for field, value in self.to_key().items() if field not in SAMPLING_FIELDS}

    def build(self) -> "TrainedFamily":
        """The family that trains and loads this generator."""
        raise NotImplementedError(f"{type(self).__name__} has no trained family")


class VaeNetworkSpec(Spec):
    """MONAI's ``VarAutoEncoder`` with the condition at encoder and decoder."""

    kind: Literal["vae-network"] = "vae-network"
    patch: Literal[1, 2, 4] = 2  # the network sees images folded by this, as the U-Net does
    channels: tuple[int, ...] = Field(default=(32, 64, 128), min_length=2)
    strides: tuple[Literal[1, 2], ...] = (2, 2, 2)
    res_units: int = Field(default=1, ge=0)
    norm_groups: int = Field(default=8, ge=1)
    latent_size: int = Field(default=64, ge=1)
    embedding_size: int = Field(default=16, ge=1)  # of the condition

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.strides) != len(self.channels):
            raise ValueError(f"channels has {len(self.channels)} levels and strides {len(self.strides)}; "
                             "give both the same number")  # fmt: skip
        if any(width % self.norm_groups for width in self.channels):
            raise ValueError(f"channels={list(self.channels)} must be multiples of norm_groups={self.norm_groups}")
        return self


class VaeSpec(GeneratorSpec):
    """A conditional variational autoencoder (Kingma and Welling 2013) with a vector latent and prior N(0, I)."""

    kind: Literal["vae"] = "vae"
    name: Name = "vae"
    network: VaeNetworkSpec = VaeNetworkSpec()
    training: TrainingSpec = TrainingSpec()
    beta: float = Field(default=1.0, gt=0)  # weight of the KL term; 1 is the evidence lower bound
    compile: Compile = "auto"  # torch.compile; falls back, with a warning, where it fails

    def build(self) -> "TrainedFamily":
        """The VAE family."""
        from synthassay.generators.vae import VaeFamily

        return VaeFamily(self)
