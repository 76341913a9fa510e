"""The noise levels σ that a solver visits: each a pure function that returns falling levels and a last 0."""

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import mul

from synthassay.errors import UserError

MAX_BETA = 0.999  # of the cosine schedule, whose last step would otherwise have ᾱ = 0 and σ = ∞


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float) -> list[float]:
    """``steps`` noise levels from ``sigma_max`` down to ``sigma_min``, then 0 (Karras et al. 2022, equation 5)."""
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + i / (steps - 1) * (low - high)) ** rho for i in range(steps)] + [0.0]


def fitted_sigma_max(sides: Sequence[int]) -> float:
    """Where sampling of images of ``sides`` pixels or voxels may start: EDM's 80 from 64×64 on, less for smaller ones.

    The start must drown the image: for N pixels of deviation 0.5 the coefficient of their mean has a deviation of up to
    0.5·√N, and 80 is 2.5 times that at 64×64. The same ratio below it is the shift of noise levels with resolution of
    Hoogeboom et al. 2023 (arXiv 2301.11093). Above 64×64 EDM's value stays, since training hardly shows more noise.
    """
    return 80.0 * min(1.0, math.sqrt(math.prod(sides)) / 64)


def uniform_t_sigmas(steps: int, t_max: float, shift: float = 1.0) -> list[float]:
    """Even steps in a flow's time from ``t_max`` < 1 down to 0, where σ = t/(1 − t).

    At t = 1 the image has no weight and σ is infinite. ``shift`` above 1 spends more steps at high noise, as large
    images need: t' = shift·t/(1 + (shift − 1)·t) (Esser et al. 2024, arXiv 2403.03206, equation 23), that is, σ' =
    shift·σ.
    """
    times = [t_max * (1 - i / steps) for i in range(steps)]
    return [shift * t / (1 - t) for t in times] + [0.0]


def linear_alpha_bars(timesteps: int = 1000) -> list[float]:
    """ᾱ after each of DDPM's steps (Ho et al. 2020, section 4): β rises evenly from 1e-4 to 0.02 over 1,000 steps.

    With another number of steps β is scaled, so that the last ᾱ stays (Nichol & Dhariwal 2021, their code).
    """
    scale = 1000 / timesteps
    last = max(1, timesteps - 1)
    betas = [min(MAX_BETA, scale * (1e-4 + (0.02 - 1e-4) * i / last)) for i in range(timesteps)]
    return list(accumulate((1 - beta for beta in betas), mul))


def cosine_alpha_bars(timesteps: int = 1000) -> list[float]:
    """ᾱ after each step of the cosine schedule (Nichol & Dhariwal 2021, arXiv 2102.09672, equation 17), s = 0.008."""

    def curve(i: int) -> float:
        return math.cos((i / timesteps + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(MAX_BETA, 1 - curve(i + 1) / curve(i)) for i in range(timesteps)]
    return list(accumulate((1 - beta for beta in betas), mul))


ALPHA_BARS = {"linear": linear_alpha_bars, "cosine": cosine_alpha_bars}


def sigma_of(alpha_bar: float) -> float:
    """σ = √((1 − ᾱ)/ᾱ): the noise beside an image of weight 1."""
    return math.sqrt((1 - alpha_bar) / alpha_bar)


def spaced(steps: int, timesteps: int, spacing: str = "trailing") -> list[int]:
    """Falling indices of ``steps`` of the ``timesteps`` that a model was trained on.

    ``"leading"``: every ⌊T/S⌋-th from 0, as in DDIM's paper and code; the noisiest steps are left out. ``"trailing"``:
    from the last step down, as Lin et al. 2024 (arXiv 2305.08891, table 2) repair it.
    """
    if steps > timesteps:
        raise UserError(f"sampling.steps={steps}, but the model has {timesteps} timesteps; take at most as many")
    if spacing == "leading":
        return [i * (timesteps // steps) for i in reversed(range(steps))]
    return [round(timesteps * (steps - i) / steps) - 1 for i in range(steps)]


def timestep_sigmas(steps: int, alpha_bars: Sequence[float], spacing: str = "trailing") -> list[float]:
    """The levels of :func:`spaced` timesteps of a variance-preserving model with ``alpha_bars``, then 0."""
    return [sigma_of(alpha_bars[index]) for index in spaced(steps, len(alpha_bars), spacing)] + [0.0]
