"""Where and how networks run: device, precision, memory format, compilation."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from synthassay.generators.specs import Precision
from synthassay.specs import Resources

logger = logging.getLogger(__name__)
Module = TypeVar("Module", bound=nn.Module)


def torch_device(resources: Resources) -> torch.device:
    """The device that ``resources`` asks for."""
    return torch.device(resources.torch_device())


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """bfloat16 autocast, or nothing.

    ``auto`` means bfloat16 on a GPU with hardware for it. On a CPU it stays float32: without AMX or AVX512-BF16
    oneDNN emulates bfloat16, and it is slower.
    """
    wanted = precision == "bfloat16"
    if precision == "auto":
        wanted = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16) if wanted else nullcontext()


def place(module: Module, device: torch.device) -> Module:
    """Move ``module`` to ``device``; on a GPU in channels_last, the layout of its fastest convolutions."""
    module = module.to(device)
    if device.type == "cuda":
        for parameter in module.parameters():
            layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(parameter.ndim)
            if layout is not None:
                parameter.data = parameter.data.contiguous(memory_format=layout)
    return module


def seeded(build: Callable[[], Module], seed: int) -> Module:
    """``build()`` with its initial weights drawn from ``seed``, leaving the global random state untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def compiled(module: Callable[..., Tensor], wanted: bool, *example: Any) -> Callable[..., Tensor]:
    """``module`` through ``torch.compile`` when ``wanted`` and possible, tried on ``example``; else ``module``."""
    if not wanted:
        return module
    try:
        fast: Callable[..., Tensor] = torch.compile(module)
        with torch.no_grad():
            fast(*example)
    except Exception as error:  # any backend may fail in its own way, and eager mode gives the same numbers
        logger.warning("torch.compile failed (%s); this generator runs without it", type(error).__name__)
        return module
    return fast
