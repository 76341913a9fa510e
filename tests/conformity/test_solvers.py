"""The solvers and noise levels equal those of diffusers, with the same denoiser and the same noise.

diffusers keeps its levels in float32; in that precision images of deviation 0.5 agree to 1e-4 after all steps.
"""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EDMDPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerAncestralDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
)

from synthassay.generators.diffusion.schedules import (
    ALPHA_BARS,
    karras_sigmas,
    linear_alpha_bars,
    timestep_sigmas,
    uniform_t_sigmas,
)
from synthassay.generators.diffusion.solvers import ancestral, ddim, dpmpp_2m, euler, flow_heun, heun

TOLERANCE = {"atol": 1e-4, "rtol": 0.0}
SIGMA_DATA = 0.5
VP = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
SPACED = VP | {"prediction_type": "sample", "clip_sample": False}


def denoise(x, sigma):
    """Of pixels that are ±0.45 with deviation 0.2: not linear in x."""
    variance = 0.04 + sigma**2
    return (0.04 * x + sigma**2 * 0.45 * torch.tanh(0.45 * x / variance)) / variance


def unit_noise(seed=0):
    return torch.randn(64, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def edm_output(x, sigma):
    """What a network gives whose preconditioned output is ``denoise``."""
    total = SIGMA_DATA**2 + sigma**2
    return (denoise(x, sigma) - SIGMA_DATA**2 / total * x) * math.sqrt(total) / (sigma * SIGMA_DATA)


def edm_peer(kind, steps):
    scheduler = kind(sigma_min=0.002, sigma_max=80.0, sigma_data=SIGMA_DATA, rho=7.0)
    scheduler.set_timesteps(steps)
    sigmas = scheduler.sigmas.tolist()
    assert sigmas == pytest.approx(karras_sigmas(steps, 0.002, 80.0, 7.0), rel=1e-5)
    x = start = unit_noise() * 80.0
    for t, sigma in zip(scheduler.timesteps, sigmas, strict=False):
        scheduler.scale_model_input(x, t)
        x = scheduler.step(edm_output(x, sigma), t, x).prev_sample
    return start, x


@pytest.mark.parametrize("steps", [10, 18, 50])
def test_dpmpp_2m_and_euler_of_edm(steps):
    sigmas = karras_sigmas(steps, 0.002, 80.0, 7.0)
    start, expected = edm_peer(EDMDPMSolverMultistepScheduler, steps)
    torch.testing.assert_close(dpmpp_2m(denoise, start, sigmas), expected, **TOLERANCE)
    start, expected = edm_peer(EDMEulerScheduler, steps)
    torch.testing.assert_close(euler(denoise, start, sigmas), expected, **TOLERANCE)


@pytest.mark.parametrize("steps", [10, 18, 50])
def test_dpmpp_2m_on_a_variance_preserving_model(steps):
    scheduler = DPMSolverMultistepScheduler(
        **VP, prediction_type="sample", use_karras_sigmas=True, final_sigmas_type="zero"
    )
    scheduler.set_timesteps(steps)
    sigmas = scheduler.sigmas.tolist()
    assert sigmas == pytest.approx(karras_sigmas(steps, sigmas[-2], sigmas[0], 7.0), rel=1e-5)
    x = unit_noise()
    start = x * math.hypot(1, sigmas[0])
    for step, t in enumerate(scheduler.timesteps):
        clean = denoise(x * math.hypot(1, sigmas[step]), sigmas[step])
        x = scheduler.step(clean, t, x).prev_sample
    torch.testing.assert_close(dpmpp_2m(denoise, start, sigmas), x, **TOLERANCE)


@pytest.mark.parametrize("steps", [10, 18, 50])
def test_heun(steps):
    scheduler = HeunDiscreteScheduler(**VP, use_karras_sigmas=True)
    scheduler.set_timesteps(steps)
    visited = scheduler.sigmas.tolist()  # all but the ends twice
    sigmas = [*visited[:-1:2], 0.0]
    x = start = unit_noise() * sigmas[0]
    evaluated = [sigma for pair in pairwise(sigmas) for sigma in pair if sigma > 0]
    for t, sigma in zip(scheduler.timesteps, evaluated, strict=True):
        x = scheduler.step((x - denoise(x, sigma)) / sigma, t, x).prev_sample
    torch.testing.assert_close(heun(denoise, start, sigmas), x, **TOLERANCE)


def spaced_peer(scheduler, steps, **settings):
    """Start at the first level, end, and the levels of a scheduler of timesteps that is told the clean image."""
    scheduler.set_timesteps(steps)
    x = unit_noise()
    levels = [float((1 / scheduler.alphas_cumprod[t].double() - 1).sqrt()) for t in scheduler.timesteps]
    start = x * math.hypot(1, levels[0])
    for t, sigma in zip(scheduler.timesteps, levels, strict=True):
        x = scheduler.step(denoise(x * math.hypot(1, sigma), sigma), t, x, **settings).prev_sample
    return start, x, [*levels, 0.0]


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("steps", [20, 50, 1000])
def test_ddim_and_its_timesteps(steps, spacing):
    start, expected, levels = spaced_peer(DDIMScheduler(**SPACED, timestep_spacing=spacing), steps)
    sigmas = timestep_sigmas(steps, linear_alpha_bars(), spacing)
    assert sigmas == pytest.approx(levels, rel=2e-3, abs=2e-5)  # 1 − ᾱ of a float32 loses digits where it is small
    found = ddim(denoise, start, sigmas, noise=lambda k: torch.zeros(1), eta=0.0)
    torch.testing.assert_close(found, expected, **TOLERANCE)


def of_one_generator(seed, steps):
    """Noise as a scheduler draws it step by step from one generator."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(64, 1, 4, 4, dtype=torch.float64, generator=generator) for _ in range(steps)]
    return drawn.__getitem__


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_stochastic_ddim(eta):
    settings = {"eta": eta, "generator": torch.Generator().manual_seed(3)}
    start, expected, sigmas = spaced_peer(DDIMScheduler(**SPACED), 50, **settings)
    found = ddim(denoise, start, sigmas, noise=of_one_generator(3, 50), eta=eta)
    torch.testing.assert_close(found, expected, **TOLERANCE)


@pytest.mark.parametrize("steps", [50, 1000])
def test_ancestral_ddpm(steps):
    scheduler = DDPMScheduler(**SPACED, variance_type="fixed_small")
    start, expected, sigmas = spaced_peer(scheduler, steps, generator=torch.Generator().manual_seed(4))
    found = ancestral(denoise, start, sigmas, noise=of_one_generator(4, steps))
    torch.testing.assert_close(found, expected, **TOLERANCE)


def test_euler_ancestral_is_ancestral_ddpm():
    scheduler = EulerAncestralDiscreteScheduler(**VP, prediction_type="epsilon")
    scheduler.set_timesteps(30)
    sigmas = scheduler.sigmas.tolist()
    x = start = unit_noise() * sigmas[0]
    generator = torch.Generator().manual_seed(5)
    for t, sigma in zip(scheduler.timesteps, sigmas, strict=False):
        scheduler.scale_model_input(x, t)
        x = scheduler.step((x - denoise(x, sigma)) / sigma, t, x, generator=generator).prev_sample
    found = ancestral(denoise, start, sigmas, noise=of_one_generator(5, 30))
    torch.testing.assert_close(found, x, **TOLERANCE)


def velocity(x_t, t):
    """E[noise − clean | x_t] on a straight path."""
    return (x_t - denoise(x_t / (1 - t), t / (1 - t))) / t


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_euler(shift):
    sigmas = uniform_t_sigmas(20, 0.999, shift)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(sigmas=[0.999 * (1 - i / 20) for i in range(20)])
    times = scheduler.sigmas.double().tolist()
    assert times == pytest.approx([sigma / (1 + sigma) for sigma in sigmas], rel=1e-6)
    x_t = unit_noise()
    start = x_t / (1 - times[0])
    for t, time in zip(scheduler.timesteps, times, strict=False):
        x_t = scheduler.step(velocity(x_t, time), t, x_t).prev_sample
    levels = [time / (1 - time) for time in times]
    torch.testing.assert_close(euler(denoise, start, levels), x_t.double(), **TOLERANCE)


def test_flow_heun():
    scheduler = FlowMatchHeunDiscreteScheduler()
    scheduler.sigma_max = 0.999  # at 1 the clean image has no weight
    scheduler.set_timesteps(15)
    times = [*scheduler.sigmas.double().tolist()[:-1:2], 0.0]
    x_t = unit_noise()
    start = x_t / (1 - times[0])
    evaluated = [time for pair in pairwise(times) for time in pair if time > 0]
    for t, time in zip(scheduler.timesteps, evaluated, strict=True):
        x_t = scheduler.step(velocity(x_t, time), t, x_t).prev_sample
    levels = [time / (1 - time) for time in times]
    torch.testing.assert_close(flow_heun(denoise, start, levels), x_t.double(), **TOLERANCE)


@pytest.mark.parametrize(("ours", "theirs"), [("linear", "linear"), ("cosine", "squaredcos_cap_v2")])
def test_alpha_bars(ours, theirs):
    expected = DDPMScheduler(**VP | {"beta_schedule": theirs}).alphas_cumprod.tolist()
    assert ALPHA_BARS[ours](1000) == pytest.approx(expected, rel=2e-3, abs=1e-6)
