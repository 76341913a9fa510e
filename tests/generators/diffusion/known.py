"""A model whose denoiser and whole flow are known: Gaussian data."""

import math

from torch import Tensor

from synthassay.seeding import noise_per_sample

MEAN, STD = 0.3, 0.5


def gaussian_denoiser(x: Tensor, sigma: float) -> Tensor:
    """E[y | y + n = x] for y ~ N(MEAN, STD²), n ~ N(0, σ²)."""
    return (STD**2 * x + sigma**2 * MEAN) / (STD**2 + sigma**2)


def exact(x: Tensor, sigma: float) -> Tensor:
    """Where the probability-flow ODE takes ``x`` from ``sigma`` to 0: deviations shrink as the marginal's does."""
    return MEAN + (x - MEAN) * STD / math.hypot(STD, sigma)


def step_noise(seeds, shape, purpose="test"):
    """Noise of each step, of which row i depends on ``seeds[i]``, ``purpose`` and the step only."""
    return lambda step: noise_per_sample(seeds, shape, purpose, "step", step)
