"""Settings of sampling: defaults, wrong pairings, what a setting costs, and that it is applied."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from synthassay.errors import UserError
from synthassay.generators.diffusion.sampling import draw, evaluations, noise_levels
from synthassay.generators.diffusion.schedules import linear_alpha_bars
from synthassay.generators.diffusion.solvers import SOLVERS, euler
from synthassay.generators.diffusion.specs import (
    DDPM_ANCESTRAL,
    DDPM_SAMPLING,
    EDM_SAMPLING,
    FLOW_SAMPLING,
    GuidanceSpec,
    KarrasSpec,
    SamplingSpec,
    TimestepsSpec,
    UniformTSpec,
)
from tests.generators.diffusion.known import gaussian_denoiser, step_noise

SIDES = (64, 64)
ALPHA_BARS = linear_alpha_bars()
GRIDS = {"karras": KarrasSpec(), "timesteps": TimestepsSpec(), "uniform-t": UniformTSpec()}


@pytest.mark.parametrize(
    ("spec", "cost"), [(EDM_SAMPLING, 30), (DDPM_SAMPLING, 30), (DDPM_ANCESTRAL, 1000), (FLOW_SAMPLING, 39)]
)
def test_the_defaults_cost_what_they_say(spec, cost):
    sigmas = noise_levels(spec, SIDES, ALPHA_BARS)
    assert evaluations(spec, sigmas) == SOLVERS[spec.solver].evaluations(spec.steps) == cost


@pytest.mark.parametrize("solver", sorted(SOLVERS))
@pytest.mark.parametrize("grid", sorted(GRIDS))
def test_a_solver_takes_its_schedules_and_refuses_the_others_by_name(solver, grid):
    settings = {"solver": solver, "steps": 10, "schedule": GRIDS[grid]}
    if grid in SOLVERS[solver].schedules:
        spec = SamplingSpec(**settings)
        assert evaluations(spec, noise_levels(spec, SIDES, ALPHA_BARS)) == SOLVERS[solver].evaluations(10)
    else:
        with pytest.raises(ValidationError, match=f"solver={solver} does not go with schedule.kind={grid}; choose "):
            SamplingSpec(**settings)


def test_wrong_settings_are_refused():
    for settings, message in (
        ({"eta": 0.5}, "eta=0.5 has no effect with solver=dpmpp-2m; set it to 0, or choose ddim"),
        ({"churn": 4.0}, "churn=4.0 has no effect with solver=dpmpp-2m; set it to 0, or choose stochastic-heun"),
        ({"solver": "rk45"}, "Input should be 'dpmpp-2m'"),
        (
            {"schedule": {"kind": "karras", "sigma_min": 80.0, "sigma_max": 80.0}},
            "sigma_min=80.0 must be below sigma_max=80.0",
        ),
        ({"guidance": {"kind": "none", "scale": 2.0}}, "guidance.scale=2.0 with guidance.kind=none"),
        ({"guidance": {"kind": "cfg", "sigma_min": 2.0, "sigma_max": 1.0}}, "guidance.sigma_min=2.0 must be below"),
    ):
        with pytest.raises(ValidationError, match=message):
            SamplingSpec(**settings)
    with pytest.raises(UserError, match="this generator has no timesteps; choose karras or uniform-t"):
        noise_levels(DDPM_SAMPLING, SIDES)


def test_small_images_start_at_less_noise_unless_told_otherwise():
    assert [noise_levels(EDM_SAMPLING, sides)[0] for sides in ((8, 8), (64, 64), (256, 256))] == pytest.approx(
        [10, 80, 80]
    )
    assert noise_levels(EDM_SAMPLING, (16, 16, 16))[0] == pytest.approx(80)  # as many voxels as 64×64 pixels
    given = SamplingSpec(schedule=KarrasSpec(sigma_max=50.0))
    assert noise_levels(given, (8, 8))[0] == pytest.approx(50)
    with pytest.raises(
        UserError, match=r"sigma_min=20\.0 must be below 10, where sampling of images of this size starts"
    ):
        noise_levels(SamplingSpec(schedule=KarrasSpec(sigma_min=20.0)), (8, 8))


def test_guidance_counts_its_evaluations_inside_its_interval():
    guidance = GuidanceSpec(kind="cfg", scale=2.0, sigma_min=0.1, sigma_max=5.0)
    spec = SamplingSpec(guidance=guidance)
    sigmas = noise_levels(spec, SIDES)
    inside = sum(0.1 < sigma <= 5.0 for sigma in sigmas)
    assert 0 < inside < 30
    assert evaluations(spec, sigmas) == 30 + inside
    assert evaluations(SamplingSpec(guidance=GuidanceSpec(kind="cfg")), sigmas) == 30


def test_guidance_without_a_weaker_model_is_an_error():
    spec = SamplingSpec(guidance=GuidanceSpec(kind="weaker", scale=2.0))
    with pytest.raises(UserError, match=r"guidance\.kind=weaker, but this generator has no model to guide with"):
        draw(spec, gaussian_denoiser, torch.zeros(1), noise_levels(spec, SIDES), lambda _: torch.zeros(1))


def test_draw_applies_the_settings():
    start = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    noise = step_noise(np.arange(3), (2,), "test")
    ddim = SamplingSpec(solver="ddim", steps=50, schedule=TimestepsSpec())
    sigmas = noise_levels(ddim, SIDES, ALPHA_BARS)
    plain = draw(ddim, gaussian_denoiser, start, sigmas, noise)
    torch.testing.assert_close(plain, euler(gaussian_denoiser, start * sigmas[0], sigmas))
    noisy = draw(ddim.model_copy(update={"eta": 1.0}), gaussian_denoiser, start, sigmas, noise)
    direct = SOLVERS["ancestral"].run(gaussian_denoiser, start * sigmas[0], sigmas, noise=noise)
    assert torch.equal(noisy, direct)
    assert not torch.allclose(noisy, plain, atol=0.05)
