"""medigan's zips: the weights of a GAN's generator in an architecture of our own; the zip's code is never run."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets.generator import Generator
from torch import Tensor, nn

from synthassay.errors import UserError
from synthassay.generators.devices import place
from synthassay.generators.foreign.bundle_config import read_mapping
from synthassay.generators.foreign.dcgan import OUTPUTS, dcgan, from_one_pixel
from synthassay.generators.foreign.family import PretrainedFamily
from synthassay.generators.foreign.files import WEIGHTS, Files, FolderFiles, printable
from synthassay.generators.foreign.sampler import ForeignModel, Shape
from synthassay.generators.foreign.specs import MediganSpec, MonaiGeneratorSpec
from synthassay.generators.foreign.weights import State, fill, state_of


class MediganFamily(PretrainedFamily):
    """See :class:`~synthassay.generators.foreign.specs.MediganSpec`."""

    def __init__(self, spec: MediganSpec) -> None:
        super().__init__()
        self.spec: MediganSpec = spec

    def model(self, files: Files, device: torch.device) -> ForeignModel:
        """See :meth:`~synthassay.generators.foreign.family.PretrainedFamily.model`."""
        entry = _entry(self.spec)
        name = self._weights_name(files, entry)
        state = state_of(self.weights(files, name), name, self.spec.state)
        if name.endswith(".safetensors"):  # which sorts names as text; layers stand in the order of their numbers
            state = dict(sorted(state.items(), key=_by_number))
        network, noise, images = self._network(state, name)
        network = place(network, device)
        _check_described(entry, noise)

        def draw(latent: Tensor, classes: Tensor | None, further: Sequence[torch.Generator]) -> Tensor:
            return images(network, latent)

        return ForeignModel(
            draw=draw,
            noise_shape=noise,
            output_shape=_tried(images, network, noise, device),
            classes=None,
            range=self.spec.range,
        )

    def _network(self, state: State, name: str) -> tuple[nn.Module, Shape, Callable[[nn.Module, Tensor], Tensor]]:
        """The network, the shape of its noise, and how it is called."""
        if self.spec.network is None:
            network, length = dcgan(state, name, self.spec.leakiness, self.spec.output)
            return network, (length,), from_one_pixel
        activation = OUTPUTS[self.spec.output]()
        built = fill(_generator(self.spec.network), state, name)
        return nn.Sequential(built, activation), self.spec.network.latent_shape, lambda module, noise: module(noise)

    def _weights_name(self, files: Files, entry: dict[str, Any]) -> str:
        """The file of weights: the setting, what the config names, or the only one there."""
        named = self.spec.weights
        if named is None and entry:
            named = f"{entry.get('model_name')}{entry.get('extension') or ''}"
        if named is not None:
            matching = [name for name in files.names if name == named or name.endswith(f"/{named}")]
        else:
            matching = [name for name in files.names if name.lower().endswith(WEIGHTS)]
        if len(matching) == 1:
            return matching[0]
        listed = ", ".join(map(printable, matching[:8])) or "none"
        wanted = "a file of weights" if named is None else printable(named)
        raise UserError(f"generator.path should hold {wanted} once; found: {listed}.\n"
                        "Name the generator's: generator.weights=FILE, as it is called in the zip.")  # fmt: skip


def _by_number(item: tuple[str, Tensor]) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", item[0])]


def _entry(spec: MediganSpec) -> dict[str, Any]:
    """What medigan's global config says of running the model; empty without one."""
    if spec.config is None or spec.model_id is None:
        return {}
    path = Path(spec.config).expanduser()
    if not path.is_file():
        raise UserError(f"generator.config={spec.config}: there is no such file.")
    models = read_mapping(FolderFiles(path.parent, (path.name,)), path.name)
    entry = models.get(spec.model_id)
    execution = entry.get("execution") if isinstance(entry, dict) else None
    if not isinstance(execution, dict):
        raise UserError(f"generator.config has no model {spec.model_id!r} with an entry execution.\n"
                        "Correct generator.model_id, which is like 00001_DCGAN_MMG_CALC_ROI.")  # fmt: skip
    return execution


def _check_described(entry: dict[str, Any], noise: Shape) -> None:
    method = entry.get("generate_method")
    stated = method.get("input_latent_vector_size") if isinstance(method, dict) else None
    if isinstance(stated, int) and (stated,) != noise:
        raise UserError(f"generator.config says that the latent vector has {stated} numbers, and by its weights the "
                        f"generator takes {list(noise)}.\nCheck generator.model_id and generator.path.")  # fmt: skip


def _generator(spec: MonaiGeneratorSpec) -> nn.Module:
    arguments = spec.model_dump(exclude={"kind"})
    try:
        with torch.device("meta"):
            network: nn.Module = Generator(**arguments)
    except (TypeError, ValueError, KeyError, RuntimeError, AttributeError) as error:
        raise UserError("monai.networks.nets.Generator refuses generator.network "
                        f"({type(error).__name__}).\nCorrect its arguments.") from error  # fmt: skip
    return network


def _tried(
    images: Callable[[nn.Module, Tensor], Tensor], network: nn.Module, noise: Shape, device: torch.device
) -> Shape:
    try:
        with torch.inference_mode():
            return tuple(images(network, torch.zeros(1, *noise, device=device)).shape[1:])
    except (RuntimeError, ValueError) as error:
        raise UserError("the generator cannot be evaluated with these weights and settings.\nCorrect generator.network."
                        ) from error  # fmt: skip
