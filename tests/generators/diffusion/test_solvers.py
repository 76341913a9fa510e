"""The solvers against exact solutions: for Gaussian data the denoiser, and the whole flow, are known."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from synthassay.generators.diffusion.schedules import karras_sigmas, linear_alpha_bars, timestep_sigmas
from synthassay.generators.diffusion.schedules import uniform_t_sigmas as uniform_t
from synthassay.generators.diffusion.solvers import (
    SOLVERS,
    ancestral,
    ddim,
    dpmpp_2m,
    euler,
    flow_heun,
    heun,
    stochastic_heun,
)
from tests.generators.diffusion.known import MEAN, STD, exact, gaussian_denoiser, step_noise

SEEDS = np.arange(2000)
ALPHA_BARS = linear_alpha_bars()
SECOND_ORDER = ("dpmpp-2m", "heun", "stochastic-heun", "flow-heun")


def levels(name, steps):
    """Noise levels that fit the solver ``name``."""
    kind = SOLVERS[name].schedules[0]
    if kind == "karras":
        return karras_sigmas(steps, 0.002, 80.0, 7.0)
    return uniform_t(steps, 0.999) if kind == "uniform-t" else timestep_sigmas(steps, ALPHA_BARS)


def run(name, x, sigmas, seeds=SEEDS, denoise=gaussian_denoiser, **settings):
    """The solver ``name``, with noise from ``seeds`` where it asks for some."""
    solver = SOLVERS[name]
    settings = {"eta": 0.5, "churn": 10.0} | settings
    settings = {key: value for key, value in settings.items() if key in solver.settings}
    noise = {"noise": step_noise(seeds, tuple(x.shape[1:]), "test")} if solver.noisy else {}
    return solver.run(denoise, x, sigmas, **settings, **noise)


def largest_error(solve, sigmas):
    x = torch.linspace(-2.5, 2.5, 41, dtype=torch.float64) * sigmas[0]
    return float((solve(gaussian_denoiser, x, sigmas) - exact(x, sigmas[0])).abs().max())


ORDERS = [
    (euler, 1, lambda steps: karras_sigmas(steps, 0.002, 80.0, 7.0)),
    (euler, 1, lambda steps: uniform_t(steps, 0.999)),
    (heun, 2, lambda steps: karras_sigmas(steps, 0.002, 80.0, 7.0)),
    (dpmpp_2m, 2, lambda steps: karras_sigmas(steps, 0.002, 80.0, 7.0)),
    (flow_heun, 2, lambda steps: uniform_t(steps, 0.999)),
]


@pytest.mark.parametrize(("solve", "order", "grid"), ORDERS)
def test_convergence_to_the_exact_flow_is_of_the_stated_order(solve, order, grid):
    coarse, fine, finest = (largest_error(solve, grid(steps)) for steps in (40, 80, 160))
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)
    assert math.log2(fine / finest) == pytest.approx(order, abs=0.15)


def test_stochastic_solvers_converge_to_the_deviation_of_the_data_at_first_order():
    """For Gaussian data a step of DDIM is linear: its deviation follows exactly, without drawing anything."""

    def deviation_error(steps, eta):
        sigmas = karras_sigmas(steps, 0.002, 80.0, 7.0)
        zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
        silent = lambda step: zero
        variance = float(ddim(centred, one * sigmas[0], sigmas, noise=silent, eta=eta)) ** 2
        for k in range(steps):
            pulse = lambda step, k=k: one if step == k else zero
            variance += float(ddim(centred, zero, sigmas, noise=pulse, eta=eta)) ** 2
        return abs(math.sqrt(variance) - STD)

    def centred(x, sigma):
        return gaussian_denoiser(x + MEAN, sigma) - MEAN

    for eta in (0.5, 1.0):
        coarse, fine = deviation_error(80, eta), deviation_error(160, eta)
        assert fine < 0.02
        assert math.log2(coarse / fine) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("name", sorted(SOLVERS))
def test_forty_steps_give_the_mean_and_deviation_of_the_data(name):
    sigmas = levels(name, 40)
    noise = torch.randn(2000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    images = run(name, noise * sigmas[0], sigmas)
    assert float(images.mean()) == pytest.approx(MEAN, abs=0.05)
    within = 0.06 if name in SECOND_ORDER else 0.2
    assert float(images.std()) == pytest.approx(STD, rel=within)


@pytest.mark.parametrize("name", sorted(SOLVERS))
def test_solvers_cost_the_evaluations_that_they_state_and_none_at_0(name):
    seen = []

    def counting(x, sigma):
        seen.append(sigma)
        return gaussian_denoiser(x, sigma)

    sigmas = levels(name, 18)
    run(name, torch.zeros(1, 1), sigmas, SEEDS[:1], counting)
    assert len(seen) == SOLVERS[name].evaluations(18)
    assert min(seen) == pytest.approx(sigmas[-2])


@pytest.mark.parametrize("name", sorted(SOLVERS))
def test_an_image_depends_on_its_own_seed_only(name):
    sigmas = levels(name, 6)
    start = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(0)) * sigmas[0]
    seeds, others = np.array([7, 8, 9, 10]), np.array([7, 1, 9, 2])
    images, again, mixed = (run(name, start, sigmas, kept) for kept in (seeds, seeds, others))
    alone = run(name, start[2:3], sigmas, seeds[2:3])
    assert torch.equal(images, again)
    assert torch.equal(images[2:3], alone)
    assert torch.equal(images[[0, 2]], mixed[[0, 2]])
    assert torch.equal(images, mixed) == (not SOLVERS[name].noisy)


def test_the_noise_of_two_steps_is_unrelated():
    noise = step_noise(SEEDS, (1,), "test")
    together = torch.cat([noise(0), noise(1)], dim=1).T
    assert abs(float(torch.corrcoef(together)[0, 1])) < 0.1
    assert not torch.equal(step_noise(SEEDS, (1,), "other")(0), noise(0))


def test_second_order_solvers_agree():
    sigmas = karras_sigmas(200, 0.002, 80.0, 7.0)
    x = torch.linspace(-100, 100, 11, dtype=torch.float64)
    expected = dpmpp_2m(gaussian_denoiser, x, sigmas)
    for solve in (heun, flow_heun):
        torch.testing.assert_close(solve(gaussian_denoiser, x, sigmas), expected, atol=1e-3, rtol=0)


def test_the_limits_of_the_stochastic_solvers():
    sigmas = timestep_sigmas(20, ALPHA_BARS)
    noise = step_noise(SEEDS[:4], (3,), "test")
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)) * sigmas[0]
    torch.testing.assert_close(
        ddim(gaussian_denoiser, x, sigmas, noise=noise, eta=0.0), euler(gaussian_denoiser, x, sigmas)
    )
    assert torch.equal(
        stochastic_heun(gaussian_denoiser, x, sigmas, noise=noise, churn=0.0), heun(gaussian_denoiser, x, sigmas)
    )
    most = ddim(gaussian_denoiser, x, sigmas, noise=noise, eta=1.0)
    assert torch.equal(ancestral(gaussian_denoiser, x, sigmas, noise=noise), most)
    assert not torch.allclose(most, euler(gaussian_denoiser, x, sigmas), atol=0.1)


def test_euler_is_the_ddim_of_the_papers_coordinates():
    """Equation 12 of Song et al. 2021 with η = 0, in x_vp = √ᾱ·clean + √(1 − ᾱ)·noise."""
    sigmas = timestep_sigmas(25, ALPHA_BARS)
    x = torch.linspace(-3, 3, 7, dtype=torch.float64) * sigmas[0]
    bars = [1 / (1 + sigma**2) for sigma in sigmas]
    x_vp = x * math.sqrt(bars[0])
    for bar, bar_next, sigma in zip(bars, bars[1:], sigmas, strict=False):
        clean = gaussian_denoiser(x_vp / math.sqrt(bar), sigma)
        epsilon = (x_vp - math.sqrt(bar) * clean) / math.sqrt(1 - bar)
        x_vp = math.sqrt(bar_next) * clean + math.sqrt(1 - bar_next) * epsilon
    torch.testing.assert_close(euler(gaussian_denoiser, x, sigmas), x_vp, rtol=1e-10, atol=1e-12)


def test_euler_is_the_euler_of_a_rectified_flow():
    """x' = x + (t' − t)·v with v = E[noise − clean | x_t], on x_t = (1 − t)·clean + t·noise."""
    sigmas = uniform_t(12, 0.999)
    times = [sigma / (1 + sigma) for sigma in sigmas]
    x = torch.linspace(-3, 3, 7, dtype=torch.float64) * sigmas[0]
    x_t = x * (1 - times[0])
    for t, t_next in pairwise(times):
        clean = gaussian_denoiser(x_t / (1 - t), t / (1 - t))
        velocity = (x_t - (1 - t) * clean) / t - clean
        x_t = x_t + (t_next - t) * velocity
    torch.testing.assert_close(euler(gaussian_denoiser, x, sigmas), x_t, rtol=1e-10, atol=1e-12)


def test_an_ancestral_step_is_a_draw_from_the_posterior_of_ddpm():
    """Equations 6 and 7 of Ho et al. 2020: mean and variance of x_{t−1} given x_t and the clean image."""
    t = 400
    bar, before = ALPHA_BARS[t], ALPHA_BARS[t - 1]
    alpha = bar / before
    here, there = (math.sqrt((1 - b) / b) for b in (bar, before))
    x_vp, clean = 0.7, 0.2
    mean = math.sqrt(before) * (1 - alpha) / (1 - bar) * clean + math.sqrt(alpha) * (1 - before) / (1 - bar) * x_vp
    deviation = math.sqrt((1 - before) / (1 - bar) * (1 - alpha))
    x = torch.tensor([x_vp / math.sqrt(bar)], dtype=torch.float64)
    for pulse in (0.0, 1.0):
        got = ancestral(
            lambda x, sigma: torch.full_like(x, clean), x, [here, there], noise=lambda k, z=pulse: torch.tensor([z])
        )
        assert float(got) * math.sqrt(before) == pytest.approx(mean + pulse * deviation, rel=1e-9)


def test_churn_raises_the_noise_between_its_levels_only():
    seen = []

    def counting(x, sigma):
        seen.append(sigma)
        return gaussian_denoiser(x, sigma)

    sigmas = [80.0, 10.0, 0.01, 0.0]
    stochastic_heun(counting, torch.zeros(1), sigmas, noise=lambda k: torch.ones(1), churn=0.3)
    assert seen == pytest.approx([80.0, 10.0, 11.0, 0.01, 0.01])
