"""A DCGAN's generator (Radford et al. 2015, arXiv 1511.06434), rebuilt from the shapes of its weights."""

from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from synthassay.errors import UserError
from synthassay.generators.foreign.files import printable
from synthassay.generators.foreign.weights import State, fill

OUTPUTS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "none": nn.Identity}


def dcgan(state: State, name: str, leakiness: float, output: str) -> tuple[nn.Module, int]:
    """The network and the length of its latent vector; it maps ``[b, length, 1, 1]`` to ``[b, c, h, w]``.

    Read from the weights: transposed convolutions, the first without padding from one pixel, the others of an even
    kernel doubling the sides; and batch normalisation where it is. Not to be seen there, and so settings: the slope of
    the activations between layers and the activation of the last. Raises :class:`UserError` for anything else.
    """
    layers = list(_layers(state))
    convolutions = [prefix for prefix, kind in layers if kind == "convolution"]
    if not convolutions or layers[0][1] != "convolution":
        raise _unlike(name, "it has no convolution first")
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    width = length = int(state[f"{convolutions[0]}.weight"].shape[0])
    for place, (prefix, kind) in enumerate(layers):
        if kind == "normalisation":
            modules[_plain(prefix)] = _normalisation(width)
        elif kind == "convolution":
            modules[_plain(prefix)], width = _convolution(state, prefix, name, width, place == 0)
        else:
            raise _unlike(name, f"{printable(prefix)!r} is neither a convolution nor batch normalisation")
        ends = place + 1 == len(layers) or layers[place + 1][1] == "convolution"
        if ends and prefix not in convolutions[-1:] and place + 1 < len(layers):
            modules[f"{_plain(prefix)}-activation"] = nn.LeakyReLU(leakiness) if leakiness else nn.ReLU()
    modules["output"] = OUTPUTS[output]()
    network = nn.Sequential(modules)
    fill(network, {_renamed(key): value for key, value in state.items()}, name)
    return network, length


def _layers(state: State) -> Iterator[tuple[str, str]]:
    """Names of the layers in the file's order, which is that of the network, and what each is."""
    for prefix in dict.fromkeys(key.rpartition(".")[0] for key in state):
        weight = state.get(f"{prefix}.weight")
        if weight is not None and weight.dim() == 4:
            yield prefix, "convolution"
        elif f"{prefix}.running_mean" in state and weight is not None and weight.dim() == 1:
            yield prefix, "normalisation"
        else:
            yield prefix, "other"


def _convolution(state: State, prefix: str, name: str, width: int, first: bool) -> tuple[nn.Module, int]:
    weight = state[f"{prefix}.weight"]
    before, after, rows, columns = weight.shape
    if before != width or rows != columns or (not first and (rows % 2 or rows < 2)):
        raise _unlike(name, f"{printable(prefix)!r} has the shape {list(weight.shape)} after {width} channels")
    stride, padding = (1, 0) if first else (2, (rows - 2) // 2)
    biased = f"{prefix}.bias" in state
    with torch.device("meta"):
        layer = nn.ConvTranspose2d(before, after, rows, stride, padding, bias=biased)
    return layer, int(after)


def _normalisation(width: int) -> nn.Module:
    with torch.device("meta"):
        return nn.BatchNorm2d(width)


def _plain(prefix: str) -> str:
    return prefix.replace(".", "-") or "first"  # a module's name must not hold a dot


def _renamed(key: str) -> str:
    prefix, _, last = key.rpartition(".")
    return f"{_plain(prefix)}.{last}"


def _unlike(name: str, reason: str) -> UserError:
    return UserError(f"{name} is not a DCGAN's generator as far as its weights tell: {reason}.\nUse "
                     "generator.architecture=monai-generator where it is one, or generate images elsewhere: "
                     "generator=external.")  # fmt: skip


def from_one_pixel(network: nn.Module, noise: Tensor) -> Tensor:
    """Images of latent vectors ``[b, length]``."""
    images: Tensor = network(noise[:, :, None, None])
    return images
