"""From noise to image: solvers of the probability-flow ODE dx/dσ = (x − D(x; σ)) / σ, pure functions of a denoiser."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

Denoiser = Callable[[Tensor, float], Tensor]


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float) -> list[float]:
    """``steps`` noise levels from ``sigma_max`` down to ``sigma_min``, then 0 (Karras et al. 2022, equation 5)."""
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + i / (steps - 1) * (low - high)) ** rho for i in range(steps)] + [0.0]


def heun(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Deterministic second-order sampler (Karras et al. 2022, algorithm 1).

    ``x``: ``[b, c, h, w]`` at noise level ``sigmas[0]``. ``sigmas`` fall to 0; the last step is Euler's, so
    ``len(sigmas)`` levels cost 2·(len − 1) − 1 evaluations.
    """
    for here, there in pairwise(sigmas):
        slope = (x - denoise(x, here)) / here
        euler = x + (there - here) * slope
        if there > 0:
            slope = (slope + (euler - denoise(euler, there)) / there) / 2
            euler = x + (there - here) * slope
        x = euler
    return x


def dpmpp_2m(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """DPM-Solver++ 2M (Lu et al. 2022, arXiv 2211.01095, algorithm 2) in the σ of EDM, where α = 1 and λ = −ln σ.

    ``x`` and ``sigmas`` as in :func:`heun`; one evaluation a step. The first and the last step are of first order.
    """
    before: Tensor | None = None
    h_before = 0.0
    for here, there in pairwise(sigmas):
        clean = denoise(x, here)
        if there == 0:
            return clean
        h = math.log(here / there)
        ahead = clean if before is None else clean + (clean - before) * (h / (2 * h_before))
        x = (there / here) * x - math.expm1(-h) * ahead
        before, h_before = clean, h
    return x


SOLVERS: dict[str, Callable[[Denoiser, Tensor, Sequence[float]], Tensor]] = {"heun": heun, "dpmpp-2m": dpmpp_2m}
