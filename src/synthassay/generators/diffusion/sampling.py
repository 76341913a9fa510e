"""Sampling settings applied: which levels, which noise, which solver, how many evaluations."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from synthassay.errors import UserError
from synthassay.generators.diffusion.guidance import guided
from synthassay.generators.diffusion.schedules import fitted_sigma_max, karras_sigmas, timestep_sigmas, uniform_t_sigmas
from synthassay.generators.diffusion.solvers import SOLVERS, Denoiser, Noise
from synthassay.generators.diffusion.specs import KarrasSpec, SamplingSpec, UniformTSpec


def noise_levels(
    spec: SamplingSpec, sides: Sequence[int], alpha_bars: Sequence[float] | None = None
) -> list[float]:  # fmt: skip
    """The σ that the solver visits for images of ``sides`` pixels.

    ``alpha_bars``: of the timesteps of a variance-preserving model, else None.
    """
    grid = spec.schedule
    if isinstance(grid, KarrasSpec):
        sigma_max = grid.sigma_max or fitted_sigma_max(sides)
        if grid.sigma_min >= sigma_max:
            raise UserError(f"sampling.schedule.sigma_min={grid.sigma_min} must be below {sigma_max:.3g}, where "
                            "sampling of images of this size starts")  # fmt: skip
        return karras_sigmas(spec.steps, grid.sigma_min, sigma_max, grid.rho)
    if isinstance(grid, UniformTSpec):
        return uniform_t_sigmas(spec.steps, grid.t_max, grid.shift)
    if alpha_bars is None:
        raise UserError("sampling.schedule.kind=timesteps, but this generator has no timesteps; choose karras or "
                        "uniform-t")  # fmt: skip
    return timestep_sigmas(spec.steps, alpha_bars, grid.spacing)


def draw(
    spec: SamplingSpec, denoise: Denoiser, start: Tensor, sigmas: Sequence[float], noise: Noise,
    weak: Denoiser | None = None,
) -> Tensor:  # fmt: skip
    """Images ``[b, c, *s]`` from standard normal ``start`` of that shape at the levels ``sigmas``.

    ``noise``: asked only by stochastic solvers. ``weak``: what guidance pushes away from; needed where it is active.
    """
    solver, guidance = SOLVERS[spec.solver], spec.guidance
    if guidance.active:
        if weak is None:
            raise UserError(f"sampling.guidance.kind={guidance.kind}, but this generator has no model to guide with; "
                            "choose none")  # fmt: skip
        high = math.inf if guidance.sigma_max is None else guidance.sigma_max
        denoise = guided(denoise, weak, guidance.scale, (guidance.sigma_min, high))
    settings = {name: getattr(spec, name) for name in solver.settings}
    if solver.noisy:
        settings["noise"] = noise
    return solver.run(denoise, start * sigmas[0], sigmas, **settings)


def evaluations(spec: SamplingSpec, sigmas: Sequence[float]) -> int:
    """Evaluations of a network for one batch, those of guidance with them: counted in a run on a single zero."""
    seen: list[float] = []

    def counting(x: Tensor, sigma: float) -> Tensor:
        seen.append(sigma)
        return x

    draw(spec, counting, torch.zeros(()), sigmas, lambda _: torch.zeros(()), weak=counting)
    return len(seen)
