"""Guidance: the formula, where it holds, and what it costs."""

import math

import pytest
import torch

from synthassay.generators.diffusion.guidance import guided

X = torch.tensor([1.0, -2.0])


def strong(x, sigma):
    return x * sigma


def weak(x, sigma):
    return x + 1


def never(x, sigma):
    raise AssertionError("evaluated")


def test_the_formula():
    found = guided(strong, weak, 2.5)(X, 0.5)
    torch.testing.assert_close(found, weak(X, 0.5) + 2.5 * (strong(X, 0.5) - weak(X, 0.5)))
    torch.testing.assert_close(guided(strong, weak, 0.0)(X, 0.5), weak(X, 0.5))


def test_a_scale_of_1_never_evaluates_the_weaker():
    assert guided(strong, never, 1.0) is strong


@pytest.mark.parametrize(("sigma", "inside"), [(0.2, False), (0.21, True), (3.0, True), (3.01, False)])
def test_the_interval_holds_its_upper_end_only(sigma, inside):
    if not inside:
        torch.testing.assert_close(guided(strong, never, 2.0, (0.2, 3.0))(X, sigma), strong(X, sigma))
    else:
        with pytest.raises(AssertionError, match="evaluated"):
            guided(strong, never, 2.0, (0.2, 3.0))(X, sigma)


def test_guiding_two_gaussians_samples_their_tilted_product():
    """With both Gaussian of one deviation, the guided score is that of a Gaussian further out: mean w·a + (1 − w)·b."""
    from synthassay.generators.diffusion.schedules import karras_sigmas
    from synthassay.generators.diffusion.solvers import heun

    def around(mean):
        return lambda x, sigma: (0.25 * x + sigma**2 * mean) / (0.25 + sigma**2)

    sigmas = karras_sigmas(100, 0.002, 80.0, 7.0)
    x = torch.linspace(-80, 80, 5, dtype=torch.float64)
    found = heun(guided(around(1.0), around(0.2), 3.0), x, sigmas)
    mean = 3.0 * 1.0 - 2.0 * 0.2
    expected = mean + (x - mean) * 0.5 / math.hypot(0.5, 80.0)
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
