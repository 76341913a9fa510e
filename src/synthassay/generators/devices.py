"""Where and how networks run: device, precision, memory format, compilation."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from synthassay.generators.specs import Compile, Precision
from synthassay.specs import Resources

logger = logging.getLogger(__name__)
Module = TypeVar("Module", bound=nn.Module)
WORTH_COMPILING = 2000  # steps: compiling takes a minute or two, which a shorter training does not win back


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


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` of the CPU on ``device``. The CPU does not wait for a GPU to take it, and so can work ahead of it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@contextmanager
def tuned(device: torch.device) -> Iterator[None]:
    """Within it cuDNN tries its algorithms and keeps the fastest for each shape: a training has few shapes."""
    cudnn: Any = torch.backends.cudnn
    before = cudnn.benchmark
    cudnn.benchmark = before or device.type == "cuda"
    try:
        yield
    finally:
        cudnn.benchmark = before


def wants_compiling(setting: Compile, device: torch.device, steps: int) -> Compile:
    """``setting`` decided: ``auto`` compiles on a GPU where ``steps`` are many, and never on a CPU."""
    if setting == "auto":
        return device.type == "cuda" and steps >= WORTH_COMPILING
    return setting


def compiled(
    losses: Callable[..., Tensor], wanted: Compile, weights: Iterable[nn.Parameter], *example: Any
) -> Callable[..., Tensor]:
    """``losses`` through ``torch.compile`` when ``wanted`` and possible, else as they are.

    Forwards and backwards are tried on ``example``: the backward pass is compiled on its own, when it is first needed.
    """
    if not wanted:
        return losses
    try:
        mode = "reduce-overhead" if wanted == "graphs" else None
        fast: Callable[..., Tensor] = torch.compile(losses, dynamic=False, mode=mode)
        torch.autograd.grad(fast(*example).mean(), [weight for weight in weights if weight.requires_grad])
    except torch.OutOfMemoryError:  # a matter of the batch, not of the compiler
        raise
    except Exception as error:  # any backend may fail in its own way, and eager mode gives the same numbers
        logger.warning("torch.compile failed (%s); this generator runs without it", type(error).__name__)
        return losses
    return fast
