"""Weights of others: safetensors, or torch checkpoints that hold nothing but tensors; never a pickle with code."""

import io
import pickle
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from synthassay.errors import UserError
from synthassay.generators.foreign.files import printable

_WRAPPERS = ("state_dict", "model_state_dict", "unet_state_dict", "model", "network")
State = Mapping[str, Tensor]


def check_pinned(found: Mapping[str, str], pins: tuple[str, ...]) -> None:
    """:class:`~synthassay.errors.UserError` when a file's sha256 (hex, by its name) is none of ``pins``."""
    for name, digest in found.items():
        if pins and digest not in pins:
            raise UserError(f"{name} has sha256 {digest},\nwhich is not among generator.sha256.\n"
                            "Get the file again, or correct the setting.")  # fmt: skip


def read_weights(data: bytes, name: str) -> Mapping[str, Any]:
    """What a file of weights holds, on the CPU. Nothing in it is executed."""
    try:
        if data[8:9] == b"{":  # safetensors: a header in JSON after eight bytes with its length
            return load(data)
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f"{name} is damaged, or a pickle that holds more than weights: loading it would execute code "
                        "of the file.\nConvert it to safetensors where you trust it, or generate images elsewhere and "
                        "use generator=external.") from error  # fmt: skip
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, LookupError, AttributeError) as error:
        raise UserError(f"{name} is damaged or not a file of weights ({type(error).__name__}).\n"
                        "Get it again, best as safetensors.") from error  # fmt: skip
    if not isinstance(content, Mapping):
        raise UserError(f"{name} holds {type(content).__name__}, not weights by name.\nSave the network's state_dict.")
    return content


def is_state(value: object) -> bool:
    """Whether ``value`` maps names to tensors."""
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(key, str) and isinstance(item, Tensor) for key, item in value.items())


def state_of(content: Mapping[str, Any], name: str, key: str | None = None) -> State:
    """The network's tensors in a checkpoint: under ``key``, else the whole file, else the only ones in it."""
    inner = {str(k): value for k, value in content.items() if is_state(value)}
    if key is not None:
        if key not in inner:
            raise UserError(f"{name} has no weights under {key!r}; it has {_listed(inner)}.\nCorrect generator.state.")
        return _plain(inner[key])
    if is_state(content):
        return _plain(content)
    known = [wrapper for wrapper in _WRAPPERS if wrapper in inner]
    if len(known) == 1 or len(inner) == 1:
        return _plain(inner[known[0]] if len(known) == 1 else next(iter(inner.values())))
    raise UserError(f"{name} holds weights under {_listed(inner)}, and it is not clear which are the generator's.\n"
                    "Save those alone (generator=medigan: name them with generator.state=KEY).")  # fmt: skip


def _plain(state: State) -> State:
    """Without the prefix that DataParallel puts before every name."""
    if all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _listed(keys: Mapping[str, Any]) -> str:
    return ", ".join(repr(printable(key)) for key in list(keys)[:8]) or "nothing"


def fill(network: nn.Module, state: State, name: str) -> nn.Module:
    """Give ``network``, built on the meta device, the tensors of ``state``: all of them, and no others.

    Built there it takes no memory before its shapes are known to be those of the file. Raises
    :class:`~synthassay.errors.UserError` with the first mismatch.
    """
    expected = network.state_dict()
    for key, value in expected.items():
        if key not in state or state[key].is_meta:
            raise UserError(f"{name} has no {key!r}, which the network needs.\n{_REMEDY}")
        if state[key].shape != value.shape:
            raise UserError(f"{name}: {key!r} has the shape {list(state[key].shape)}, and the network needs "
                            f"{list(value.shape)}.\n{_REMEDY}")  # fmt: skip
    surplus = [key for key in state if key not in expected]
    if surplus:
        raise UserError(f"{name} has {printable(surplus[0])!r}, which the network does not.\n{_REMEDY}")
    network.load_state_dict({key: _float32(value) for key, value in state.items()}, assign=True)
    for key, buffer in network.named_buffers():
        if buffer.is_meta:
            raise UserError(f"the network's {key!r} is kept in no file of weights, so it cannot be loaded safely.")
    return network.eval().requires_grad_(False)


_REMEDY = "These are weights of another network, or the network's settings are not those it was trained with."


def _float32(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value
