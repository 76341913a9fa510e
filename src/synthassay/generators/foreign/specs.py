"""Settings of pretrained generators. Light: networks are imported when a spec is built."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from synthassay.generators.specs import GeneratorSpec, Name
from synthassay.specs import Spec

if TYPE_CHECKING:
    from synthassay.generators.foreign.family import PretrainedFamily

Axis = Literal["d", "h", "w", "-d", "-h", "-w"]


class PretrainedSpec(GeneratorSpec):
    """Base of the generators whose weights come from somebody else; they are sampled here and trained nowhere.

    ``path`` and ``trained_on`` are places, not content, so they are no part of a key: the files enter it by their
    digests. ``condition_on`` follows from ``labels``.
    """

    not_private: ClassVar[str] = "nothing of it is trained here"

    condition_dropout: Literal[0] = Field(0, exclude=True)  # for training only
    path: str | None = Field(None, exclude=True)
    sha256: tuple[str, ...] = Field((), exclude=True)  # the files of weights must have one of these; empty: any
    labels: dict[str, int] | None = None  # class name of the cohort → class index of the model; None: unconditional
    range: tuple[float, float] | None  # values of the model's output that become 0 and 1
    channels: Literal["exact", "match"] = "exact"  # match: grey ↔ RGB, from RGB the mean of the three
    resize: bool = False  # True: another size is cropped to the cohort's ratio and resampled; volumes cropped or padded
    axes: tuple[Axis, ...] | None = None  # what the model's axes are in the cohort's terms; None: h, w or d, h, w
    trained_on: str | None = Field(None, exclude=True)  # file with the patients that the generator was trained on
    max_bytes: int = Field(16 << 30, ge=1, exclude=True)  # of one file; a larger one is not opened

    @model_validator(mode="before")
    @classmethod
    def _conditioned(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {**values, "condition_on": ("label",) if values.get("labels") else ()}

    @field_validator("sha256", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("range")
    @classmethod
    def _rising(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] >= value[1]:
            raise ValueError(f"range={list(value)} must rise: first the value of black, then that of white")
        return value

    @field_validator("axes")
    @classmethod
    def _each_once(cls, value: tuple[Axis, ...] | None) -> tuple[Axis, ...] | None:
        if value is not None and sorted(axis[-1] for axis in value) not in (["h", "w"], ["d", "h", "w"]):
            raise ValueError(f"axes={list(value)} must name h and w once each, and d too for volumes")
        return value

    def build(self) -> "PretrainedFamily":
        """The family that loads this generator."""
        raise NotImplementedError(f"{type(self).__name__} has no family")


class MonaiBundleSpec(PretrainedSpec):
    """A MONAI bundle (folder or zip): a diffusion model in pixels, or in the latent of an autoencoder, 2D or 3D."""

    kind: Literal["monai_bundle"] = "monai_bundle"
    name: Name = "monai_bundle"
    range: tuple[float, float] | None = None  # None: what metadata.json says of the output
    config: str = "inference"  # the file under configs/, without its ending
    shape: tuple[int, ...] | None = None  # of the noise, channels first; None: the bundle's latent_shape or noise
    steps: int | None = Field(None, ge=1)  # None: those of the bundle's set_timesteps, else all of training
    scale_factor: float | None = Field(None, gt=0)  # latents are divided by it; None: the bundle's, else 1
    network_weights: str | None = None  # a file under models/; None: the one that is not an autoencoder's
    autoencoder_weights: str | None = None  # None: the one with autoencoder or vae in its name

    def build(self) -> "PretrainedFamily":
        """The family of MONAI bundles."""
        from synthassay.generators.foreign.monai_bundle import MonaiBundleFamily

        return MonaiBundleFamily(self)


class DiffusersSpec(PretrainedSpec):
    """A diffusers pipeline folder without text: DDPM, DDIM and latent diffusion, unconditional or by class."""

    kind: Literal["diffusers"] = "diffusers"
    name: Name = "diffusers"
    range: tuple[float, float] = (-1.0, 1.0)
    steps: int | None = Field(None, ge=1)  # None: the pipeline's default, all of training for DDPM and else 50
    eta: float = Field(0.0, ge=0, le=1)  # DDIM: 0 draws no further noise, 1 as much as DDPM

    def build(self) -> "PretrainedFamily":
        """The family of diffusers pipelines."""
        from synthassay.generators.foreign.pipeline import DiffusersFamily

        return DiffusersFamily(self)


class MonaiGeneratorSpec(Spec):
    """The arguments of ``monai.networks.nets.Generator``, which its weights do not tell."""

    kind: Literal["monai-generator"] = "monai-generator"
    latent_shape: tuple[int, ...]
    start_shape: tuple[int, ...]
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    kernel_size: int = Field(3, ge=1)
    num_res_units: int = Field(2, ge=0)
    act: str = "PRELU"
    norm: str = "INSTANCE"
    bias: bool = True


class MediganSpec(PretrainedSpec):
    """The weights of a medigan-style zip in an architecture from a list; its Python code is not run."""

    kind: Literal["medigan"] = "medigan"
    name: Name = "medigan"
    range: tuple[float, float] = (-1.0, 1.0)
    architecture: Literal["dcgan", "monai-generator"] = "dcgan"
    network: MonaiGeneratorSpec | None = None  # of architecture monai-generator; a DCGAN's is seen from its weights
    weights: str | None = None  # the file in the zip; None: what the config names, else the only one there
    state: str | None = None  # key of the generator's weights in a checkpoint of several networks
    config: str | None = Field(None, exclude=True)  # medigan's global.json, with what it says of the model
    model_id: str | None = None  # the entry of the config
    leakiness: float = Field(0.0, ge=0, lt=1)  # of the DCGAN's activations: 0 ReLU, else the slope of LeakyReLU
    output: Literal["tanh", "sigmoid", "none"] = "tanh"  # the activation of the last layer

    @model_validator(mode="after")
    def _described(self) -> Self:
        if (self.architecture == "monai-generator") != (self.network is not None):
            raise ValueError("network holds the arguments of architecture=monai-generator, and is null for dcgan")
        if (self.config is None) != (self.model_id is None):
            raise ValueError("config and model_id belong together: medigan's global.json and the name of its entry")
        return self

    def build(self) -> "PretrainedFamily":
        """The family of medigan's zips."""
        from synthassay.generators.foreign.medigan import MediganFamily

        return MediganFamily(self)
