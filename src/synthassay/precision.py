"""Plain float32: no TF32, no reduced-precision products, no autocast."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_CUDA: Any = torch.backends.cuda
_CUDNN: Any = torch.backends.cudnn
_ONEDNN: Any = torch.backends.mkldnn

# bf16 or TF32 on one side of a Fréchet distance raised it 3.5 times over its floor, so neither is left to chance.
_SWITCHES: tuple[tuple[Any, str, Any], ...] = (
    (_CUDA.matmul, "fp32_precision", "ieee"),
    (_CUDNN.conv, "fp32_precision", "ieee"),
    (_ONEDNN.matmul, "fp32_precision", "ieee"),
    (_ONEDNN.conv, "fp32_precision", "ieee"),
    (_CUDNN, "deterministic", True),
    (_CUDNN, "benchmark", False),
)


@contextmanager
def exact_float32(device: str) -> Iterator[None]:
    """Within it float32 arithmetic on ``device`` is IEEE float32 and repeats; afterwards all is as before."""
    before = [getattr(owner, name) for owner, name, _ in _SWITCHES]
    try:
        for owner, name, value in _SWITCHES:
            setattr(owner, name, value)
        with torch.autocast(torch.device(device).type, enabled=False):
            yield
    finally:
        for (owner, name, _), value in zip(_SWITCHES, before, strict=True):
            setattr(owner, name, value)
