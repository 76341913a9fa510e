"""Operations that keep the magnitude of activations (Karras et al. 2024, arXiv 2312.02696, appendix B).

Magnitude is the root mean square. Unit-variance inputs give unit-variance outputs, so that no layer's activations,
weights or updates drift during training, and no normalisation across positions is needed.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

_SMALLEST = 1e-4  # magnitude below which a vector is taken for zero and not scaled up to 1
_SILU_MAGNITUDE = 0.596  # of silu(x) for x ~ N(0, 1)


def normalised(x: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """``x`` with magnitude 1 over ``dim``; the magnitude is taken in float32 or wider.

    It is bounded below, not shifted by a small number as in the paper: so the scale of ``x`` has no effect at all.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    norm = torch.linalg.vector_norm(x, dim=dim, keepdim=True, dtype=wide)
    magnitude = norm * math.sqrt(norm.numel() / x.numel())
    unit: Tensor = x / magnitude.clamp_min(_SMALLEST).to(x.dtype)
    return unit


def mp_silu(x: Tensor) -> Tensor:
    """SiLU over its magnitude on normal input (equation 81)."""
    return functional.silu(x) / _SILU_MAGNITUDE


def mp_sum(a: Tensor, b: Tensor, share: float) -> Tensor:
    """The sum of two uncorrelated tensors, ``share`` of it from ``b`` (equation 88)."""
    return torch.lerp(a, b, share) / math.hypot(1 - share, share)


def mp_cat(a: Tensor, b: Tensor) -> Tensor:
    """Channels of ``a``, then of ``b``, each contributing equally to what follows (equation 103, t = 0.5)."""
    n, m = a.shape[1], b.shape[1]
    return torch.cat([a * math.sqrt((n + m) / (2 * n)), b * math.sqrt((n + m) / (2 * m))], dim=1)


class FourierFeatures(nn.Module):
    """√2·cos(2π(f·t + φ)) with f ~ N(0, 1) and φ ~ U(0, 1), both fixed (equation 75)."""

    frequencies: Tensor
    phases: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(width))
        self.register_buffer("phases", torch.rand(width))

    def forward(self, time: Tensor) -> Tensor:
        """``[b]`` → ``[b, width]``, in float32 or wider."""
        turns = time.to(self.phases.dtype)[:, None] * self.frequencies + self.phases
        return math.sqrt(2) * torch.cos(2 * math.pi * turns)


class UnitConv(nn.Module):
    """A convolution, or for ``dims`` 0 a linear map, without bias, whose weights have magnitude 1 per output.

    Training changes their direction only (equation 66). Sides stay as they are.
    """

    def __init__(self, inputs: int, outputs: int, dims: int = 0, size: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, *[size] * dims))

    def forward(self, x: Tensor, gain: Tensor | float = 1.0) -> Tensor:
        """``gain`` times the map of ``x``."""
        fan_in = self.weight[0].numel()
        weight = self._normalised() * (gain / math.sqrt(fan_in))
        padding = self.weight.shape[-1] // 2
        match self.weight.ndim:
            case 2:
                return functional.linear(x, weight)
            case 4:
                return functional.conv2d(x, weight, padding=padding)
            case _:
                return functional.conv3d(x, weight, padding=padding)

    @torch.no_grad()
    def enforce(self) -> None:
        """Set the stored weights to magnitude 1; the output stays as it is."""
        self.weight.copy_(self._normalised())

    def _normalised(self) -> Tensor:
        return normalised(self.weight, tuple(range(1, self.weight.ndim)))


def enforce(module: nn.Module) -> None:
    """Forced weight normalisation (algorithm 1): call it after each optimiser step.

    Else the stored weights grow, since their gradient is orthogonal to them, and the effective rate decays. The paper
    does it at the head of each training forward; once per step is the same, leaves the forward pure (so that
    micro-batches, ``torch.compile`` and ``torch.autograd.grad`` see plain operations), and needs no training mode.
    """
    for part in module.modules():
        if isinstance(part, UnitConv):
            part.enforce()
