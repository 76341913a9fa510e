"""Convolutional networks trained on medical images: RadImageNet's ResNet-50 and torchxrayvision's DenseNet-121."""

import pickle
import warnings
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import DenseNet, resnet50

from synthassay.features.preparation import Preparation
from synthassay.features.pretrained import Pretrained, fill
from synthassay.features.weights import PinnedFile, read_tensors

_XRAYVISION = "nih-pc-chex-mimic_ch-google-openi-kaggle-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"
WEIGHTS = {
    "radimagenet-resnet50": PinnedFile(
        name="RadImageNet-ResNet50.pt",
        url="https://github.com/BMEII-AI/RadImageNet (RadImageNet_pytorch.zip: RadImageNet_pytorch/ResNet50.pt)",
        sha256="08629f7e7bd3e29b8ee9522ca3f65ce4d010a7ddf74f0ea3c7e3f3d0bbab0734", direct=False,
    ),
    "torchxrayvision": PinnedFile(
        name="torchxrayvision-densenet121-res224-all.pt", url=f"https://github.com/mlmed/torchxrayvision/releases/download/v1/{_XRAYVISION}",
        sha256="56524913dd16a906422e8d8b66a7a5c46be1d82eb7ac012d8103776f1aa68899", size=28_382_008,
    ),
}  # fmt: skip


def radimagenet(resolution: int) -> Pretrained:
    """ResNet-50 trained on RadImageNet (Mei et al. 2022, doi 10.1148/ryai.210315): CT, MRI and ultrasound."""
    return Pretrained(
        name="radimagenet-resnet50", weights=WEIGHTS["radimagenet-resnet50"], layer="global average pool",
        dimension=2048, load=load_radimagenet, cuda_batch=128,
        # Pixels in [-1, 1] and OpenCV's order of channels, as in the authors' example.
        preparation=Preparation(resolution=resolution, resize="torch-bilinear-antialias", channels="bgr",
                                mean=(0.5,) * 3, deviation=(0.5,) * 3),
    )  # fmt: skip


def load_radimagenet(path: Path) -> nn.Module:
    """The network: ``[b, 3, r, r]`` → ``[b, 2048]``."""
    with torch.device("meta"):
        network = resnet50()
        network.fc = nn.Identity()
    # The file numbers the children of torchvision's network, since the authors kept the first nine in a Sequential.
    children = [name for name, _ in network.named_children()]
    state = {}
    for name, tensor in read_tensors(path).items():
        _, _, numbered = name.rpartition("backbone.")
        number, _, rest = numbered.partition(".")
        state[f"{children[int(number)]}.{rest}" if number.isdigit() and int(number) < 10 else name] = tensor
    filled: Any = fill(network, state, path.name)
    channels_last: nn.Module = filled.to(memory_format=torch.channels_last)  # 1.4 times faster on a CPU
    return channels_last


def torchxrayvision() -> Pretrained:
    """DenseNet-121 of torchxrayvision (Cohen et al. 2022, arXiv 2111.00595), trained on seven chest X-ray sets."""
    return Pretrained(
        name="torchxrayvision", weights=WEIGHTS["torchxrayvision"], layer="rectified features, global average pool",
        dimension=1024, load=load_torchxrayvision, cuda_batch=128,
        # Pixels in [-1024, 1024].
        preparation=Preparation(resolution=224, resize="torch-bilinear-antialias", channels="grey",
                                mean=(0.5,), deviation=(0.5 / 1024,)),
    )  # fmt: skip


def load_torchxrayvision(path: Path) -> nn.Module:
    """The network: ``[b, 1, 224, 224]`` → ``[b, 1024]``."""
    with torch.device("meta"):
        network = DenseNet(growth_rate=32, block_config=(6, 12, 24, 16), num_init_features=64)
        network.features.conv0 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        network.classifier = nn.Identity()
    tensors = pickled_module(path)
    return fill(network, {name: value for name, value in tensors.items() if name.startswith("features.")}, path.name)


class _Inert:
    """Stands for every class and function in a pickle: it takes arguments and attributes, and does nothing."""

    dump_patches = False  # torch asks a network's classes for it

    def __new__(cls, *_: Any, **__: Any) -> "_Inert":
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            vars(self).update(state)


class _Reader(pickle.Unpickler):
    """An unpickler that builds tensors and otherwise knows :class:`_Inert` only."""

    def find_class(self, module: str, name: str) -> Any:
        return _BUILDERS.get(f"{module}.{name}", _Inert)


_BUILDERS: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
    "torch._utils._rebuild_parameter": torch._utils._rebuild_parameter,
}
_READER = SimpleNamespace(__name__="reader", Unpickler=_Reader, load=lambda stream, **_: _Reader(stream).load())


def pickled_module(path: Path) -> dict[str, Any]:
    """Parameters and buffers by name of a torch module that was pickled as a whole, in torch's old or new format.

    Nothing that the pickle names is imported or called: :class:`_Inert` objects stand where modules would. A plain
    state dict and a safetensors file are read too. Raises :class:`~synthassay.errors.UserError` for anything else.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # about sources of classes, which play no part
            root: Any = torch.load(path, map_location="cpu", pickle_module=_READER, weights_only=False)
    except Exception:
        return read_tensors(path)  # reads it, or says what is wrong
    return _tensors(root) if isinstance(root, _Inert) else read_tensors(path)


def _tensors(module: _Inert, prefix: str = "") -> dict[str, Tensor]:
    held = vars(module)
    found: dict[str, Tensor] = {}
    for kind in ("_parameters", "_buffers"):
        tensors = {name: value for name, value in held.get(kind, {}).items() if isinstance(value, Tensor)}
        found |= {prefix + name: value.detach() for name, value in tensors.items()}
    for name, child in held.get("_modules", {}).items():
        if isinstance(child, _Inert):
            found |= _tensors(child, f"{prefix}{name}.")
    return found
