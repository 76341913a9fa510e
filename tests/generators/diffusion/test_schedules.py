"""Noise levels fall from where they should to where they should, and equal their papers' formulas."""

import math
from itertools import pairwise

import pytest

from synthassay.errors import UserError
from synthassay.generators.diffusion.schedules import (
    ALPHA_BARS,
    cosine_alpha_bars,
    karras_sigmas,
    linear_alpha_bars,
    spaced,
    timestep_sigmas,
    uniform_t_sigmas,
)


def falls(sigmas):
    return sigmas[-1] == 0 and all(a > b for a, b in pairwise(sigmas))


def test_karras_sigmas_fall_from_the_largest_to_the_smallest_and_then_0():
    sigmas = karras_sigmas(18, 0.002, 80.0, 7.0)
    assert len(sigmas) == 19
    assert falls(sigmas)
    assert sigmas[0] == pytest.approx(80)
    assert sigmas[-2] == pytest.approx(0.002)
    middle = (80 ** (1 / 7) + 5 / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7  # equation 5 at i = 5
    assert sigmas[5] == pytest.approx(middle)


def test_a_flows_levels_are_even_in_its_time_and_shift_multiplies_them():
    sigmas = uniform_t_sigmas(10, 0.99)
    assert len(sigmas) == 11
    assert falls(sigmas)
    times = [sigma / (1 + sigma) for sigma in sigmas]
    assert [a - b for a, b in pairwise(times)] == pytest.approx([0.099] * 10)
    shifted = [sigma / (1 + sigma) for sigma in uniform_t_sigmas(10, 0.99, 3.0)]
    assert shifted == pytest.approx([3 * t / (1 + 2 * t) for t in times])


def test_the_linear_schedule_is_ddpms():
    bars = linear_alpha_bars()
    assert len(bars) == 1000
    assert bars[0] == pytest.approx(1 - 1e-4)
    assert bars[1] == pytest.approx((1 - 1e-4) * (1 - 1e-4 - 0.0199 / 999))
    assert bars[-1] == pytest.approx(4.036e-5, rel=1e-3)
    assert linear_alpha_bars(250)[-1] == pytest.approx(bars[-1], rel=0.5)


def test_the_cosine_schedule_is_the_papers():
    bars = cosine_alpha_bars()
    start = math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    middle = math.cos((0.5 + 0.008) / 1.008 * math.pi / 2) ** 2
    assert bars[499] == pytest.approx(middle / start)
    assert 0 < bars[-1] < 1e-7


@pytest.mark.parametrize("kind", sorted(ALPHA_BARS))
@pytest.mark.parametrize("timesteps", [1, 7, 1000])
def test_every_alpha_bar_schedule_falls_inside_0_to_1(kind, timesteps):
    bars = ALPHA_BARS[kind](timesteps)
    assert len(bars) == timesteps
    assert all(a > b for a, b in pairwise([1.0, *bars, 0.0]))


def test_the_spaced_subsets():
    assert spaced(5, 1000, "leading") == [800, 600, 400, 200, 0]
    assert spaced(5, 1000, "trailing") == [999, 799, 599, 399, 199]
    assert spaced(4, 10, "trailing") == [9, 7, 4, 1]
    assert spaced(1000, 1000, "leading") == spaced(1000, 1000, "trailing") == list(range(999, -1, -1))
    with pytest.raises(UserError, match=r"sampling\.steps=11, but the model has 10"):
        spaced(11, 10)


def test_timestep_sigmas_are_the_models_levels():
    bars = linear_alpha_bars()
    sigmas = timestep_sigmas(50, bars)
    assert falls(sigmas)
    assert sigmas[0] == pytest.approx(math.sqrt(1 / bars[999] - 1))
