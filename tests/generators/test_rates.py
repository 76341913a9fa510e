"""The inverse square root rate."""

import itertools

import pytest

from synthassay.generators.training.rates import inverse_square_root


def rate(step: int, constant_steps: int = 100, warmup_steps: int = 10) -> float:
    return inverse_square_root(0.01, step, constant_steps=constant_steps, warmup_steps=warmup_steps)


def test_it_warms_up_stays_and_decays() -> None:
    assert rate(0) == pytest.approx(0.001)
    assert rate(9) == rate(50) == rate(99) == 0.01
    assert rate(399) == pytest.approx(0.005)
    assert rate(9_999) == pytest.approx(0.001)


def test_both_parts_can_be_left_out() -> None:
    assert rate(0, warmup_steps=0) == 0.01
    assert rate(1_000_000, constant_steps=0) == 0.01


def test_it_never_jumps() -> None:
    rates = [rate(step) for step in range(500)]
    assert max(abs(b - a) for a, b in itertools.pairwise(rates)) <= 0.001 + 1e-12
    assert all(value > 0 for value in rates)
