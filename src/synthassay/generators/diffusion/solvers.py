"""From noise to image: pure functions of a denoiser, in the noise levels σ of EDM, where x = clean + σ·noise.

Every diffusion model has a denoiser in these coordinates: a variance-preserving one (DDPM) sees x/√(1 + σ²), a
rectified flow sees x/(1 + σ) at the time t = σ/(1 + σ). All share one probability-flow ODE, dx/dσ = (x − D(x; σ)) / σ,
and differ in the coordinate in which a solver of higher order takes its steps.

Each solver takes ``x`` ``[b, c, *s]`` at the noise level ``sigmas[0]``, and finite ``sigmas`` that fall to a last 0. It
never evaluates the denoiser at 0. Stochastic ones ask ``noise(k)`` for the standard normal noise of step k; image i
depends on its own seed only where the rows of that noise do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the registry is read where settings are checked, which must not wait for torch
    from torch import Tensor

Denoiser = Callable[["Tensor", float], "Tensor"]  # (x, σ) → the clean image that is expected
Noise = Callable[[int], "Tensor"]  # k → standard normal noise of step k, shaped like x

CHURN_SIGMAS = (0.05, 50.0)  # noise is added between these levels only, and a little more of it than
CHURN_NOISE = 1.003  # the level asks for, since a denoiser removes too much (Karras et al. 2022, table 5, ImageNet)


def euler(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """First order: the expected clean image is held over each step.

    The same update is DDIM's with η = 0 (Song et al. 2021, arXiv 2010.02502, equation 12), and Euler's for a rectified
    flow in t: a linear path between clean image and noise is one line in all three coordinates.
    """
    for here, there in pairwise(sigmas):
        clean = denoise(x, here)
        x = clean + (there / here) * (x - clean)
    return x


def heun(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Second order (Karras et al. 2022, arXiv 2206.00364, algorithm 1); the last step is Euler's."""
    for here, there in pairwise(sigmas):
        x = _heun_step(denoise, x, here, there)
    return x


def _heun_step(denoise: Denoiser, x: Tensor, here: float, there: float) -> Tensor:
    slope = (x - denoise(x, here)) / here
    ahead = x + (there - here) * slope
    if there == 0:
        return ahead
    slope = (slope + (ahead - denoise(ahead, there)) / there) / 2
    return x + (there - here) * slope


def stochastic_heun(denoise: Denoiser, x: Tensor, sigmas: Sequence[float], *, noise: Noise, churn: float) -> Tensor:
    """Heun's steps, each after a little fresh noise (Karras et al. 2022, algorithm 2); ``churn`` is its S_churn."""
    low, high = CHURN_SIGMAS
    share = min(churn / (len(sigmas) - 1), math.sqrt(2) - 1)
    for step, (here, there) in enumerate(pairwise(sigmas)):
        if share > 0 and low <= here <= high:
            raised = here * (1 + share)
            x = x + math.sqrt(raised**2 - here**2) * CHURN_NOISE * noise(step)
            here = raised
        x = _heun_step(denoise, x, here, there)
    return x


def flow_heun(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Heun for a rectified flow, in its own time t = σ/(1 + σ) (Liu et al. 2022, arXiv 2209.03003).

    On the flow's path x_t = (1 − t)·clean + t·noise the velocity is (x_t − D)/t: the equation of :func:`heun` with t in
    the place of σ.
    """

    def of_time(x_t: Tensor, t: float) -> Tensor:
        return denoise(x_t / (1 - t), t / (1 - t))

    return heun(of_time, x / (1 + sigmas[0]), [sigma / (1 + sigma) for sigma in sigmas])


def dpmpp_2m(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """DPM-Solver++ 2M (Lu et al. 2022, arXiv 2211.01095, algorithm 2), where α = 1 and λ = −ln σ.

    One evaluation a step. The first and the last step are of first order.
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


def ddim(denoise: Denoiser, x: Tensor, sigmas: Sequence[float], *, noise: Noise, eta: float) -> Tensor:
    """DDIM (Song et al. 2021, equations 12 and 16): from :func:`euler` at η = 0 to :func:`ancestral` at η = 1.

    In σ the deviation of equation 16 is η·σ'·√(σ² − σ'²)/σ for a step from σ to σ'.
    """
    for step, (here, there) in enumerate(pairwise(sigmas)):
        clean = denoise(x, here)
        fresh = eta * there / here * math.sqrt(here**2 - there**2)
        x = clean + math.sqrt(there**2 - fresh**2) / here * (x - clean)
        if fresh > 0:
            x = x + fresh * noise(step)
    return x


def ancestral(denoise: Denoiser, x: Tensor, sigmas: Sequence[float], *, noise: Noise) -> Tensor:
    """DDPM's ancestral sampling (Ho et al. 2020, arXiv 2006.11239, equations 6 and 7): a draw from
    q(x_there | x_here, clean), whose variance is β̃, the smaller of the two that the paper tries."""
    return ddim(denoise, x, sigmas, noise=noise, eta=1.0)


@dataclass(frozen=True, slots=True)
class Solver:
    """A solver, what it costs and what it goes with."""

    run: Callable[..., Tensor]
    per_step: int  # evaluations of the denoiser; the last step takes one
    schedules: tuple[str, ...]  # kinds of noise levels that it fits
    settings: tuple[str, ...] = ()  # of ``SamplingSpec``, passed to ``run`` by name
    noisy: bool = False  # whether ``run`` takes ``noise``

    def evaluations(self, steps: int) -> int:
        """How often the denoiser is evaluated in so many steps."""
        return self.per_step * (steps - 1) + 1


SOLVERS: dict[str, Solver] = {
    "dpmpp-2m": Solver(dpmpp_2m, 1, ("karras", "timesteps", "uniform-t")),
    "heun": Solver(heun, 2, ("karras", "timesteps")),
    "stochastic-heun": Solver(stochastic_heun, 2, ("karras",), settings=("churn",), noisy=True),
    "euler": Solver(euler, 1, ("karras", "timesteps")),
    "ddim": Solver(ddim, 1, ("timesteps", "karras"), settings=("eta",), noisy=True),
    "ancestral": Solver(ancestral, 1, ("timesteps",), noisy=True),
    "flow-euler": Solver(euler, 1, ("uniform-t",)),
    "flow-heun": Solver(flow_heun, 2, ("uniform-t",)),
}
