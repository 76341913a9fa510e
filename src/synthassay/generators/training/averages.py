"""Averages of the weights with a power-function profile (Karras et al. 2024, arXiv 2312.02696, section 3).

After step t an average holds ∫ p(τ)·θ(τ) dτ with p(τ) = (γ + 1)·τ^γ / t^(γ + 1) on [0, t]. Its width relative to the
training, σ_rel, stays the same however long the training is. From kept snapshots of two widths any other is fitted
after the training.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from torch import Tensor

WIDTHS = (0.05, 0.10)  # σ_rel of the averages to keep: a fit reaches from about the one to beyond the other
_WIDEST = 0.28  # γ = 0, the plain mean, has σ_rel = 12^(−1/2) = 0.289


def exponent(sigma_rel: float) -> float:
    """γ of the profile of relative width ``sigma_rel``; the inverse of :func:`relative_width`."""
    if not 0 < sigma_rel <= _WIDEST:
        raise ValueError(f"sigma_rel={sigma_rel} must be above 0 and at most {_WIDEST}")
    return float(brentq(lambda gamma: relative_width(gamma) - sigma_rel, 0.0, 1 / sigma_rel))  # σ_rel < 1/(γ + 2)


def relative_width(gamma: float) -> float:
    """σ_rel = (γ + 1)^(1/2)·(γ + 2)^(−1)·(γ + 3)^(−1/2), the profile's deviation over t (equation 123)."""
    return float((gamma + 1) ** 0.5 / ((gamma + 2) * (gamma + 3) ** 0.5))


def power_decay(gamma: float, step: int) -> float:
    """β_γ(t) = (1 − 1/t)^(γ + 1) at ``step`` t, from 1 (equation 127). β(1) = 0: nothing of the start stays."""
    return float((1 - 1 / step) ** (gamma + 1))


class Profile(NamedTuple):
    """Which average a snapshot holds."""

    step: int  # after which it was taken, from 1
    sigma_rel: float


def reconstruction_weights(snapshots: Sequence[Profile], wanted: Profile) -> NDArray[np.float64]:
    """``[n]`` weights, summing to 1, whose sum of ``snapshots`` has the profile nearest to ``wanted`` (algorithm 3).

    Least squares over continuous profiles, in float64. The sum is a constraint of the fit, so that weights that did
    not move during training are returned as they are. (The authors' code divides the free fit by its sum.)
    """
    if len(set(snapshots)) != len(snapshots):
        raise ValueError("a snapshot is given twice")
    if wanted.step > max(snapshot.step for snapshot in snapshots):
        raise ValueError(f"no snapshot reaches step {wanted.step}")
    gram = _inner_products(snapshots, snapshots)
    target = _inner_products(snapshots, [wanted])[:, 0]
    n, scale = len(snapshots), np.diag(gram) ** -0.5  # equilibrated: profiles of early steps are tall
    system = np.zeros((n + 1, n + 1))
    system[:n, :n] = gram * scale * scale[:, None]
    system[n, :n] = system[:n, n] = scale  # the multiplier of the constraint Σ w = 1
    solution = np.linalg.solve(system, np.append(target * scale, 1.0))
    weights: NDArray[np.float64] = solution[:n] * scale
    return weights


def _inner_products(left: Sequence[Profile], right: Sequence[Profile]) -> NDArray[np.float64]:
    """∫ p_i·q_j dτ of two sets of profiles: (γ_i+1)(γ_j+1) / (γ_i+γ_j+1) · (s/l)^γ / l, s, l the earlier, later end.

    γ belongs to the later one (equation 151).
    """
    a = np.array([profile.step for profile in left], dtype=np.float64)[:, None]
    b = np.array([profile.step for profile in right], dtype=np.float64)[None, :]
    p = np.array([exponent(profile.sigma_rel) for profile in left])[:, None]
    q = np.array([exponent(profile.sigma_rel) for profile in right])[None, :]
    later = np.maximum(a, b)
    ratio = (np.minimum(a, b) / later) ** np.where(a < b, q, p)
    products: NDArray[np.float64] = (p + 1) * (q + 1) / (p + q + 1) * ratio / later
    return products


def weighted_sum(weights: Iterable[float], states: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Σ wᵢ·stateᵢ of state dictionaries, summed in float64; ``states`` may be read one by one. Integers: the last's."""
    total: dict[str, Tensor] = {}
    dtypes: dict[str, torch.dtype] = {}
    for weight, state in zip(weights, states, strict=True):
        for name, value in state.items():
            dtypes[name] = value.dtype
            if not value.is_floating_point():
                total[name] = value
            elif name in total:
                total[name].add_(value.double(), alpha=weight)
            else:
                total[name] = value.double() * weight
    return {name: value.to(dtypes[name]) for name, value in total.items()}
