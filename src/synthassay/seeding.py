"""Seeds: every random draw of a run is named, so that a new draw leaves the others unchanged."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def derive_seed(*parts: str | int) -> int:
    """The seed named by ``parts``: an integer in [0, 2**63), equal on every machine and Python version.

    ``derive_seed("train", "edm", 0)`` and ``derive_seed("train", "edm", 1)`` are unrelated.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(*parts: str | int) -> np.random.Generator:
    """A NumPy generator seeded by :func:`derive_seed`."""
    return np.random.default_rng(derive_seed(*parts))


def torch_generator(*parts: str | int) -> "torch.Generator":
    """A CPU torch generator seeded by :func:`derive_seed`."""
    import torch

    return torch.Generator(device="cpu").manual_seed(derive_seed(*parts))


def noise_per_sample(
    seeds: Sequence[int] | NDArray[np.int64], shape: tuple[int, ...], *purpose: str | int
) -> "torch.Tensor":
    """Standard normal noise of which row i depends on ``seeds[i]`` (and ``purpose``) only.

    Returns ``[len(seeds), *shape]`` float32 on the CPU; it is drawn there so that every device gets the same noise.
    """
    import torch

    rows = [torch.randn(shape, generator=torch_generator("sample", *purpose, int(seed))) for seed in seeds]
    return torch.stack(rows) if rows else torch.empty((0, *shape))
