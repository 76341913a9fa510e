"""diffusers pipeline folders without text: DDPM, DDIM and latent diffusion, with a loop of our own."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from synthassay.errors import UserError
from synthassay.generators.devices import place
from synthassay.generators.foreign.bundle_config import read_mapping
from synthassay.generators.foreign.family import PretrainedFamily
from synthassay.generators.foreign.files import Files, FolderFiles, printable
from synthassay.generators.foreign.sampler import Draw, ForeignModel, Shape
from synthassay.generators.foreign.specs import DiffusersSpec
from synthassay.generators.foreign.weights import fill

NETWORKS = ("UNet2DModel",)
DECODERS = ("AutoencoderKL", "VQModel")
SCHEDULERS = (
    "DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "DPMSolverMultistepScheduler", "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "UniPCMultistepScheduler",
)  # fmt: skip
SUPPORTED = (
    "Supported: UNet2DModel with or without AutoencoderKL or VQModel, and the schedulers DDPM, DDIM, PNDM,\n"
    "DPM-Solver++, Euler, Heun and UniPC. For anything else generate images elsewhere: generator=external."
)
_INDEX = "model_index.json"


@dataclass(frozen=True, slots=True)
class _Parts:
    """Sub-folders of the pipeline's components ("" for the folder itself)."""

    network: str
    scheduler: str
    decoder: str | None


class DiffusersFamily(PretrainedFamily):
    """See :class:`~synthassay.generators.foreign.specs.DiffusersSpec`."""

    def __init__(self, spec: DiffusersSpec) -> None:
        super().__init__()
        self.spec: DiffusersSpec = spec

    def model(self, files: Files, device: torch.device) -> ForeignModel:
        """See :meth:`~synthassay.generators.foreign.family.PretrainedFamily.model`."""
        if not isinstance(files, FolderFiles):
            raise UserError("generator.path is a zip; generator=diffusers needs the unpacked folder of a pipeline.")
        parts = _parts(files)
        network = place(self._network(files, parts.network, NETWORKS), device)
        decoder = None if parts.decoder is None else place(self._network(files, parts.decoder, DECODERS), device)
        scheduler = _scheduler(files, parts.scheduler)
        noise = _noise_shape(network)
        trained = int(scheduler.config.num_train_timesteps)
        steps = self.spec.steps or (trained if type(scheduler).__name__ == "DDPMScheduler" else 50)
        if steps > trained:
            raise UserError(f"generator.steps={steps}: the scheduler of this pipeline takes at most {trained} steps.")
        return ForeignModel(
            draw=_draw(network, decoder, scheduler, steps, self.spec.eta),
            noise_shape=noise,
            output_shape=_tried(network, decoder, noise, device),
            classes=_classes(network),
            range=self.spec.range,
        )

    def _network(self, files: FolderFiles, folder: str, allowed: tuple[str, ...]) -> Any:
        """A network of ``folder`` with every tensor from its file."""
        config = _config(files, folder, "config.json", allowed)
        if "quantization_config" in config:
            raise _refusal(f"{folder}/config.json: quantization_config")
        cls = getattr(_library(), config["_class_name"])
        try:
            with torch.device("meta"):
                network = cls.from_config(config)
        except (TypeError, ValueError, KeyError, RuntimeError, ZeroDivisionError) as error:
            raise UserError(f"{folder}/config.json is refused by diffusers ({type(error).__name__}).") from error
        state: dict[str, Tensor] = {}
        for name in _safetensors(files, folder):
            state |= self.weights(files, name)
        if rename := getattr(network, "_fix_state_dict_keys_on_load", None):  # today's names for yesterday's weights
            rename(state)
        return fill(network, state, folder or "the network")


def _parts(files: FolderFiles) -> _Parts:
    """Which components the pipeline has; a lone network lies in the folder itself, its scheduler beside it."""
    if _INDEX not in files.names:
        if "config.json" in files.names and "scheduler_config.json" in files.names:
            return _Parts("", "", None)
        raise UserError(f"generator.path has no {_INDEX}, nor config.json and scheduler_config.json of a UNet2DModel.\n"
                        "Give the folder of a diffusers pipeline.")  # fmt: skip
    index = read_mapping(files, _INDEX)
    listed = {key: value for key, value in index.items() if isinstance(value, list) and any(value)}
    for name in listed:
        if name not in ("unet", "scheduler", "vae", "vqvae"):
            raise _refusal(f"{_INDEX}: {printable(name)} (of {printable(str(index.get('_class_name')))})")
    if "unet" not in listed or "scheduler" not in listed:
        raise _refusal(f"{_INDEX}: a pipeline without unet or scheduler")
    return _Parts("unet", "scheduler", next((name for name in ("vae", "vqvae") if name in listed), None))


def _refusal(what: str) -> UserError:
    return UserError(f"{what} is not supported: no text, no picture and no code is taken.\n{SUPPORTED}")


def _config(files: FolderFiles, folder: str, name: str, allowed: tuple[str, ...]) -> dict[str, Any]:
    path = f"{folder}/{name}".lstrip("/")
    if path not in files.names:
        raise UserError(f"generator.path has no {path}.\nGive the whole folder of a diffusers pipeline.")
    config = dict(read_mapping(files, path))
    found = config.get("_class_name")
    if found not in allowed:
        raise _refusal(f"{path}: _class_name {printable(str(found))!r}")
    return config


def _safetensors(files: FolderFiles, folder: str) -> list[str]:
    """The weights of ``folder``: one file, or those that its index lists."""
    stem = f"{folder}/diffusion_pytorch_model".lstrip("/")
    if f"{stem}.safetensors" in files.names:
        return [f"{stem}.safetensors"]
    if f"{stem}.safetensors.index.json" in files.names:
        shards = read_mapping(files, f"{stem}.safetensors.index.json").get("weight_map")
        names = sorted({str(shard) for shard in shards.values()}) if isinstance(shards, dict) else []
        paths = [f"{folder}/{name}".lstrip("/") for name in names]
        absent = [path for path in paths if path not in files.names]
        if paths and not absent:
            return paths
        raise UserError(f"{stem}.safetensors.index.json lists a file that is not there.\nGet the folder again.")
    raise UserError(f"generator.path has no {stem}.safetensors.\nOther formats can hold code and are not loaded; "
                    "convert the pipeline with save_pretrained(DIR, safe_serialization=True).")  # fmt: skip


def _library() -> Any:
    try:
        import diffusers
    except ImportError as error:
        raise UserError("generator=diffusers needs the package diffusers.\n"
                        "Install it: pip install 'synthassay[diffusers]'.") from error  # fmt: skip
    return diffusers


def _scheduler(files: FolderFiles, folder: str) -> Any:
    config = _config(files, folder, "scheduler_config.json", SCHEDULERS)
    try:
        return getattr(_library(), config["_class_name"]).from_config(config)
    except (TypeError, ValueError, KeyError, NotImplementedError) as error:
        raise UserError(f"{folder}/scheduler_config.json is refused by diffusers ({type(error).__name__}).") from error


def _noise_shape(network: Any) -> Shape:
    config = network.config
    if config.in_channels != config.out_channels and config.out_channels != 2 * config.in_channels:
        raise _refusal(f"unet/config.json: in_channels={config.in_channels} with out_channels={config.out_channels}")
    size = config.sample_size
    height, width = (size, size) if isinstance(size, int) else tuple(size or (0, 0))
    if not (0 < height <= 4096 and 0 < width <= 4096):
        raise UserError("unet/config.json does not state sample_size, the rows and columns of what is drawn.\nAdd it.")
    return int(config.in_channels), int(height), int(width)


def _classes(network: Any) -> int | None:
    config = network.config
    if config.class_embed_type is not None:
        raise _refusal(f"unet/config.json: class_embed_type {printable(str(config.class_embed_type))!r}")
    return None if config.num_class_embeds is None else int(config.num_class_embeds)


def _decoded(decoder: Any, latent: Tensor) -> Tensor:
    config = decoder.config
    shift = getattr(config, "shift_factor", None) or 0.0
    image: Tensor = decoder.decode(latent / config.scaling_factor + shift).sample
    return image


def _tried(network: Any, decoder: Any, noise: Shape, device: torch.device) -> Shape:
    """Shape of an image, found by one evaluation, so that what does not fit is known before hours of sampling."""
    zeros = torch.zeros(1, *noise, device=device)
    codes = None if _classes(network) is None else torch.zeros(1, dtype=torch.int64, device=device)
    try:
        with torch.inference_mode():
            output = network(zeros, 0, class_labels=codes).sample
            image = zeros if decoder is None else _decoded(decoder, zeros)
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"the network cannot be evaluated on its own sample_size ({noise[1]} × {noise[2]}), or the "
                        "decoder on its output.\nThe pipeline's files do not belong together.") from error  # fmt: skip
    if output.shape[1] not in (noise[0], 2 * noise[0]):
        raise _refusal("unet/config.json: out_channels")
    return tuple(image.shape[1:])


def _draw(network: Any, decoder: Any, template: Any, steps: int, eta: float) -> Draw:
    taken = inspect.signature(template.step).parameters

    def draw(noise: Tensor, classes: Tensor | None, further: Sequence[torch.Generator]) -> Tensor:
        scheduler = type(template).from_config(template.config)  # a new one: solvers remember the batch before
        scheduler.set_timesteps(steps, device=noise.device)
        options: dict[str, Any] = {"generator": list(further)} if "generator" in taken else {}
        if "eta" in taken:
            options["eta"] = eta
        image = noise * scheduler.init_noise_sigma
        for time in scheduler.timesteps:
            output = network(scheduler.scale_model_input(image, time), time, class_labels=classes).sample
            image = scheduler.step(output, time, image, **options).prev_sample
        return image if decoder is None else _decoded(decoder, image)

    return draw
