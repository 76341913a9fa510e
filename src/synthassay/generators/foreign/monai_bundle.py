"""MONAI bundles: diffusion in pixels or in the latent of an autoencoder, sampled by MONAI's schedulers."""

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import torch
from monai.networks import nets, schedulers
from monai.networks.schedulers.ddpm import DDPMScheduler
from monai.networks.schedulers.rectified_flow import RFlowScheduler
from torch import Tensor, nn

from synthassay.errors import UserError
from synthassay.generators.devices import place
from synthassay.generators.foreign.bundle_config import (
    AUTOENCODERS,
    NETWORKS,
    SCHEDULERS,
    BundleConfig,
    Component,
    read_mapping,
)
from synthassay.generators.foreign.family import PretrainedFamily
from synthassay.generators.foreign.files import WEIGHTS, Files, printable
from synthassay.generators.foreign.sampler import Draw, ForeignModel, Shape
from synthassay.generators.foreign.specs import MonaiBundleSpec
from synthassay.generators.foreign.weights import State, fill, state_of

_STEPS = re.compile(r"\.set_timesteps\(\s*num_inference_steps\s*=\s*(\d+|@\w+)\s*[,)]")
_MAX_NOISE = 1 << 28  # numbers that one image starts from
_NOISE = re.compile(r"\$torch\.randn?\(([\w@\s,()\[\]+]*?)\)(?:\.to\(@device\))?\s*(?:#.*)?")


class MonaiBundleFamily(PretrainedFamily):
    """See :class:`~synthassay.generators.foreign.specs.MonaiBundleSpec`."""

    def __init__(self, spec: MonaiBundleSpec) -> None:
        super().__init__()
        self.spec: MonaiBundleSpec = spec

    def model(self, files: Files, device: torch.device) -> ForeignModel:
        """See :meth:`~synthassay.generators.foreign.family.PretrainedFamily.model`."""
        config = BundleConfig.of(files, self.spec.config)
        described = config.needed(NETWORKS, "a diffusion network")
        latent = config.component(AUTOENCODERS)
        names = _weight_files(files, self.spec, latent is not None)
        content = self.weights(files, names[0])
        network = place(_network(config, described, state_of(content, names[0]), names[0]), device)
        _check_unconditioned(config, described)
        decode: nn.Module | None = None
        if latent is not None:
            state = state_of(self.weights(files, names[1]), names[1])
            decode = place(_network(config, latent, state, names[1]), device)
        scale = 1.0 if decode is None else self._scale(config, content)
        noise = self._noise_shape(config, described)
        return ForeignModel(
            draw=_draw(network, decode, scale, *self._scheduler(config), noise),
            noise_shape=noise,
            output_shape=_tried(network, decode, noise, described, device),
            classes=described.arguments.get("num_class_embeds"),
            range=self.spec.range or _stated_range(files, latent is not None),
        )

    def _scheduler(self, config: BundleConfig) -> tuple[Any, int]:
        """The bundle's scheduler and the number of steps."""
        described = config.needed(SCHEDULERS, "a scheduler")
        scheduler = _built(config, described, schedulers)
        trained: int = scheduler.num_train_timesteps
        steps = self.spec.steps or _stated_steps(config) or trained
        if steps > trained or (described.cls == "DDPMScheduler" and steps != trained):
            raise UserError(f"generator.steps={steps}: {described.cls} of this bundle takes "
                            f"{'at most' if described.cls != 'DDPMScheduler' else 'exactly'} {trained} steps.\n"
                            "Set generator.steps to that, or to null.")  # fmt: skip
        return scheduler, steps

    def _noise_shape(self, config: BundleConfig, network: Component) -> Shape:
        shape = self.spec.shape or _stated_noise(config)
        dims, channels = network.arguments.get("spatial_dims"), network.arguments.get("in_channels")
        if shape is None:
            raise UserError(f"{config.file} does not say plainly which noise an image starts from.\nGive its shape, "
                            "channels first: generator.shape=[C,H,W] or [C,D,H,W].")  # fmt: skip
        if len(shape) - 1 != dims or shape[0] != channels or min(shape) < 1 or math.prod(shape) > _MAX_NOISE:
            raise UserError(f"the noise has the shape {list(shape)} (channels first), and {network.entry} takes "
                            f"{channels} channels and {dims} dimensions.\nCorrect generator.shape.")  # fmt: skip
        return tuple(shape)

    def _scale(self, config: BundleConfig, content: Mapping[str, Any]) -> float:
        """What latents are divided by: the setting, else what stands beside the weights, in the bundle, or 1."""
        beside = content.get("scale_factor")
        if self.spec.scale_factor is not None:
            return self.spec.scale_factor
        if isinstance(beside, Tensor) and beside.numel() == 1:
            return float(beside)
        stated = config.entries.get("scale_factor", 1.0)
        if isinstance(stated, str) and stated.startswith("$"):
            raise UserError(f"{config.file}: scale_factor is computed by code, which is not executed.\n"
                            "Give its value: generator.scale_factor=NUMBER (1 divided by the deviation of the latents)."
                            )  # fmt: skip
        value = config.value("scale_factor") if "scale_factor" in config.entries else 1.0
        if not isinstance(value, int | float) or not value > 0:
            raise config.refusal("scale_factor", "a value that is not a positive number")
        return float(value)


def _built(config: BundleConfig, described: Component, module: Any) -> Any:
    """An instance of a class that :mod:`bundle_config` allows."""
    cls = getattr(module, described.cls)
    known = inspect.signature(cls).parameters
    free = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    arguments = {key: value for key, value in described.arguments.items() if key != "use_checkpoint"}
    unknown = [key for key in arguments if key not in known and not (free and key in ("beta_start", "beta_end", "s"))]
    if unknown:
        raise config.refusal(f"{described.entry}.{printable(unknown[0])}", f"an argument that {described.cls} lacks")
    try:
        return cls(**arguments)
    except (TypeError, ValueError, KeyError, IndexError, RuntimeError, ZeroDivisionError) as error:
        raise UserError(f"{config.file}: {described.entry}: {described.cls} refuses its arguments "
                        f"({type(error).__name__}).\nCorrect the bundle.") from error  # fmt: skip


def _network(config: BundleConfig, described: Component, state: State, name: str) -> nn.Module:
    with torch.device("meta"):
        network: nn.Module = _built(config, described, nets)
    return fill(network, _renamed(network, state, name), name)


def _renamed(network: nn.Module, state: State, name: str) -> State:
    """``state`` with today's names, where MONAI Generative's of before 1.4 are recognised."""
    rename = getattr(network, "load_old_state_dict", None)
    if rename is None or not any(".to_q." in key and ".attn" not in key for key in state):
        return state
    renamed: dict[str, Tensor] = {}
    # MONAI renames and loads in one method, and only the renaming is wanted.
    network.load_state_dict = lambda new, strict=True: renamed.update(new)  # type: ignore[assignment,method-assign,misc]
    try:
        rename(dict(state))
    except KeyError as error:
        raise UserError(f"{name} has no {printable(str(error.args[0]))!r}, which the network needs.\nThese are weights "
                        "of another network, or the bundle's settings are not theirs.") from error  # fmt: skip
    finally:
        del network.load_state_dict
    return renamed


def _check_unconditioned(config: BundleConfig, network: Component) -> None:
    """Refuse what needs a context, a picture or a segmentation beside the noise."""
    if network.arguments.get("with_conditioning"):
        raise config.refusal(f"{network.entry}.with_conditioning", "cross-attention to a context")
    if network.arguments.get("in_channels") != network.arguments.get("out_channels"):
        raise config.refusal(
            f"{network.entry}.in_channels", "another number than out_channels (a picture beside the noise)"
        )


def _weight_files(files: Files, spec: MonaiBundleSpec, latent: bool) -> tuple[str, str]:
    """Names of the files of the network's and of the autoencoder's weights (empty without one)."""
    there = [name for name in files.names if name.startswith("models/") and name.lower().endswith(WEIGHTS)]
    safe = {str(PurePosixPath(name).with_suffix("")) for name in there if name.endswith(".safetensors")}
    # The same weights may lie there in both formats.
    there = [n for n in there if n.endswith(".safetensors") or str(PurePosixPath(n).with_suffix("")) not in safe]
    encoders = [n for n in there if re.search(r"autoencoder|vae", PurePosixPath(n).stem, re.IGNORECASE)]
    others = [n for n in there if n not in encoders]
    network = _one(files, others, spec.network_weights, "network_weights")
    return network, _one(files, encoders, spec.autoencoder_weights, "autoencoder_weights") if latent else ""


def _one(files: Files, found: Sequence[str], given: str | None, setting: str) -> str:
    if given is not None:
        matching = [name for name in (given, f"models/{given}") if name in files.names]
        if not matching:
            raise UserError(f"generator.{setting}={given}: the bundle has no such file.")
        return matching[0]
    if len(found) != 1:
        listed = ", ".join(map(printable, found[:8])) or "none"
        raise UserError(f"the bundle's models/ should hold one file for generator.{setting}; found: {listed}.\n"
                        f"Name it: generator.{setting}=FILE.")  # fmt: skip
    return found[0]


def _stated_steps(config: BundleConfig) -> int | None:
    """How many steps the bundle takes, where it says so in a plain number."""
    match = _STEPS.search(config.text("set_timesteps"))
    said = "@num_inference_steps" if match is None else match[1]
    value = config.value(said[1:]) if said.startswith("@") else int(said)
    return value if isinstance(value, int) and value > 0 else None


def _stated_noise(config: BundleConfig) -> tuple[int, ...] | None:
    """The shape of one image's noise, where the bundle's ``latent_shape`` or ``noise`` says it in plain numbers."""
    stated = config.value("latent_shape")
    if stated is None:
        match = _NOISE.fullmatch(config.text("noise").strip())
        if match is None:
            return None
        text = re.sub(r"@(\w+)", lambda name: str(config.value(name[1])), match[1])
        if not re.fullmatch(r"[\d\s,()\[\]+]*", text):
            return None
        stated = [int(number) for number in re.findall(r"\d+", text)][1:]  # the first is the batch
    if not isinstance(stated, list) or not all(isinstance(size, int) for size in stated):
        return None
    return tuple(stated) or None


def _stated_range(files: Files, latent: bool) -> tuple[float, float]:
    """The range of the images, as ``configs/metadata.json`` states it."""
    metadata = read_mapping(files, "configs/metadata.json") if "configs/metadata.json" in files.names else {}
    found: Any = metadata.get("autoencoder_data_format" if latent else "network_data_format")
    for key in ("outputs", "pred", "value_range"):
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, list) and len(found) == 2 and all(isinstance(value, int | float) for value in found):
        low, high = float(found[0]), float(found[1])
        if math.isfinite(low) and math.isfinite(high) and low < high:
            return low, high
    raise UserError("configs/metadata.json does not state the range of the model's images.\n"
                    "Give the values of black and white: generator.range=[0,1] or [-1,1].")  # fmt: skip


def _tried(network: nn.Module, decoder: Any, noise: Shape, described: Component, device: torch.device) -> Shape:
    """Shape of an image, found by one evaluation, so that what does not fit is known before hours of sampling."""
    try:
        with torch.inference_mode():
            zeros = torch.zeros(1, *noise, device=device)
            codes = torch.zeros(1, dtype=torch.int64, device=device)
            labelled = {"class_labels": codes} if described.arguments.get("num_class_embeds") is not None else {}
            output = network(zeros, timesteps=codes, **labelled)
            image = output if decoder is None else decoder.decode_stage_2_outputs(output)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the network cannot be evaluated on noise of the shape {list(noise)} (channels first).\n"
                        "Correct generator.shape; sides must be divisible as often as the network halves them."
                        ) from error  # fmt: skip
    return tuple(image.shape[1:])


def _draw(network: nn.Module, decoder: Any, scale: float, scheduler: Any, steps: int, shape: Shape) -> Draw:
    flow = isinstance(scheduler, RFlowScheduler)
    sized = {"input_img_size_numel": math.prod(shape[1:])} if flow else {}

    def draw(noise: Tensor, classes: Tensor | None, further: Sequence[torch.Generator]) -> Tensor:
        scheduler.set_timesteps(steps, **sized)  # each time: PNDM otherwise remembers the batch before
        labelled = {} if classes is None else {"class_labels": classes}
        image = noise
        times = scheduler.timesteps
        for time, after in zip(times, [*times[1:], torch.zeros_like(times[0])], strict=True):
            output = network(image, timesteps=time.to(noise.device).expand(len(noise)), **labelled)
            image = _stepped(scheduler, output, time, after, image, further)
        result: Tensor = image if decoder is None else decoder.decode_stage_2_outputs(image / scale)
        return result

    return draw


def _stepped(
    scheduler: Any, output: Tensor, time: Tensor, after: Tensor, image: Tensor, further: Sequence[torch.Generator]
) -> Tensor:
    if isinstance(scheduler, DDPMScheduler):
        # Row by row, each with its own generator, and on the CPU, where every device gets the same noise.
        output, images = output.cpu(), image.cpu()
        rows = [
            scheduler.step(output[i : i + 1], int(time), images[i : i + 1], generator=generator)[0]
            for i, generator in enumerate(further)
        ]
        return torch.cat(rows).to(image.device)
    moment: Any = float(time) if isinstance(scheduler, RFlowScheduler) else int(time)
    onward = (float(after),) if isinstance(scheduler, RFlowScheduler) else ()
    stepped: Tensor = scheduler.step(output, moment, image, *onward)[0]
    return stepped
