"""The samplers against an exact solution: for Gaussian data the denoiser, and the whole flow, are known."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from synthassay.generators.diffusion.solvers import SOLVERS, dpmpp_2m, heun, karras_sigmas

MEAN, STD = 0.3, 0.5
SIGMAS = (0.002, 80.0, 7.0)


def gaussian_denoiser(x: Tensor, sigma: float) -> Tensor:
    """E[y | y + n = x] for y ~ N(MEAN, STD²), n ~ N(0, σ²)."""
    return (STD**2 * x + sigma**2 * MEAN) / (STD**2 + sigma**2)


def exact(x: Tensor, sigma: float) -> Tensor:
    """Where the probability-flow ODE takes ``x`` from ``sigma`` to 0: deviations shrink as the marginal's does."""
    return MEAN + (x - MEAN) * STD / math.hypot(STD, sigma)


def largest_error(name: str, steps: int) -> float:
    sigmas = karras_sigmas(steps, *SIGMAS)
    x = torch.linspace(-200, 200, 41, dtype=torch.float64)
    return float((SOLVERS[name](gaussian_denoiser, x, sigmas) - exact(x, sigmas[0])).abs().max())


def test_karras_sigmas_fall_from_the_largest_to_the_smallest_and_then_0() -> None:
    sigmas = karras_sigmas(18, *SIGMAS)
    assert len(sigmas) == 19
    assert sigmas[0] == pytest.approx(80)
    assert sigmas[-2] == pytest.approx(0.002)
    assert sigmas[-1] == 0
    assert all(a > b for a, b in pairwise(sigmas))
    middle = (80 ** (1 / 7) + 5 / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7  # equation 5 at i = 5
    assert sigmas[5] == pytest.approx(middle)


@pytest.mark.parametrize(("name", "order"), [("heun", 2), ("dpmpp-2m", 2)])
def test_solvers_converge_to_the_exact_flow_at_second_order(name: str, order: int) -> None:
    coarse, fine, finest = (largest_error(name, steps) for steps in (40, 80, 160))
    assert finest < 5e-3
    assert math.log2(coarse / fine) > order - 0.4
    assert math.log2(fine / finest) > order - 0.4


@pytest.mark.parametrize("name", sorted(SOLVERS))
def test_twenty_steps_give_the_mean_and_deviation_of_the_data(name: str) -> None:
    sigmas = karras_sigmas(20, *SIGMAS)
    noise = torch.randn(4096, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    images = SOLVERS[name](gaussian_denoiser, noise * sigmas[0], sigmas)
    assert float(images.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(images.std()) == pytest.approx(STD, rel=0.05)


def test_the_two_solvers_agree() -> None:
    sigmas = karras_sigmas(100, *SIGMAS)
    x = torch.linspace(-100, 100, 11, dtype=torch.float64)
    torch.testing.assert_close(
        heun(gaussian_denoiser, x, sigmas), dpmpp_2m(gaussian_denoiser, x, sigmas), atol=2e-3, rtol=0
    )


@pytest.mark.parametrize(("name", "evaluations"), [("heun", 2 * 18 - 1), ("dpmpp-2m", 18)])
def test_solvers_cost_the_evaluations_that_they_state(name: str, evaluations: int) -> None:
    seen: list[float] = []

    def counting(x: Tensor, sigma: float) -> Tensor:
        seen.append(sigma)
        return gaussian_denoiser(x, sigma)

    SOLVERS[name](counting, torch.zeros(1), karras_sigmas(18, *SIGMAS))
    assert len(seen) == evaluations
    assert min(seen) == pytest.approx(0.002)  # never evaluated at 0, where c_noise is −∞
