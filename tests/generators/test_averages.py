"""Power-function averages: the closed form, the paper's exponents, reconstruction after the training."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synthassay.generators.specs import TrainingSpec
from synthassay.generators.training.averages import (
    WIDTHS,
    Profile,
    exponent,
    power_decay,
    reconstruction_weights,
    relative_width,
    weighted_sum,
)
from synthassay.generators.training.learner import followed

STEPS = 1024


class Walker(nn.Module):
    """Parameters that lie on a known curve, one that stays, and a buffer that counts."""

    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.moving = nn.Parameter(torch.zeros(3, dtype=torch.float64))
        self.still = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
        self.register_buffer("count", torch.tensor(0))

    @torch.no_grad()
    def walk(self, step: int) -> None:
        self.moving.copy_(torch.from_numpy(curve(np.array([step])))[0])
        self.count.fill_(step)


def curve(steps: NDArray[np.int64]) -> NDArray[np.float64]:
    t = steps / STEPS
    return np.stack([np.sqrt(t), np.exp(-4 * t), np.sin(9 * t)], axis=1)


def closed_form(profile: Profile) -> NDArray[np.float64]:
    """∫ p over each step (i − 1, i]: the share of θ_i in the average."""
    t = np.arange(STEPS + 1) / profile.step
    return np.diff(np.minimum(t, 1.0) ** (exponent(profile.sigma_rel) + 1))


def walked(every: int = STEPS) -> tuple[dict[Profile, dict[str, Tensor]], dict[float, nn.Module]]:
    live = Walker()
    averages, snapshots = dict(zip(WIDTHS, followed(live, TrainingSpec(ema="power")), strict=True)), {}
    for step in range(1, STEPS + 1):
        live.walk(step)
        for width, average in averages.items():
            average.follow(step)
            if step % every == 0:
                snapshots[Profile(step, width)] = {k: v.clone() for k, v in average.kept.state_dict().items()}
    return snapshots, {width: average.kept for width, average in averages.items()}


def test_exponents_are_the_papers() -> None:
    assert exponent(0.10) == pytest.approx(6.94, abs=0.005)
    assert exponent(0.05) == pytest.approx(16.97, abs=0.005)


@pytest.mark.parametrize("width", [0.01, 0.05, 0.1, 0.2, 0.28])
def test_the_exponent_is_the_root_of_the_papers_cubic_and_gives_the_width(width: float) -> None:
    gamma = exponent(width)
    assert np.polyval([1, 7, 16 - width**-2, 12 - width**-2], gamma) == pytest.approx(0, abs=1e-6 * width**-3)
    assert relative_width(gamma) == pytest.approx(width)
    t = (np.arange(200_000) + 0.5) / 200_000
    p = (gamma + 1) * t**gamma / len(t)
    assert np.sqrt((p * t**2).sum() - (p * t).sum() ** 2) == pytest.approx(width, rel=1e-4)


@pytest.mark.parametrize("width", [0.0, -0.1, 0.3])
def test_widths_without_an_exponent_are_refused(width: float) -> None:
    with pytest.raises(ValueError, match="sigma_rel"):
        exponent(width)


def test_gamma_zero_is_the_plain_mean() -> None:
    value = 0.0
    for step in range(1, 11):
        value += (1 - power_decay(0.0, step)) * (step - value)
    assert value == pytest.approx(5.5)


def test_averages_equal_the_closed_form() -> None:
    _, averages = walked()
    for width, module in averages.items():
        expected = closed_form(Profile(STEPS, width)) @ curve(np.arange(1, STEPS + 1))
        np.testing.assert_allclose(module.moving.numpy(), expected, rtol=1e-10)  # type: ignore[operator, union-attr]
        assert int(module.count) == STEPS  # type: ignore[arg-type]
        assert not any(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("width", [0.03, 0.07, 0.12, 0.2])
@pytest.mark.parametrize("step", [STEPS, 704])
def test_other_widths_are_reconstructed_after_the_training(width: float, step: int) -> None:
    snapshots, _ = walked(every=32)
    wanted = Profile(step, width)
    weights = reconstruction_weights(list(snapshots), wanted)
    found = weighted_sum(weights, snapshots.values())
    expected = closed_form(wanted) @ curve(np.arange(1, STEPS + 1))
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(found["moving"].numpy(), expected, atol=3e-3)
    assert float(found["still"]) == pytest.approx(0.7, abs=1e-12)
    assert int(found["count"]) == STEPS
    assert found["count"].dtype == torch.int64


def test_the_fit_improves_with_more_snapshots() -> None:
    def error(count: int) -> float:
        ends = [STEPS * (i + 1) // count for i in range(count)]
        snapshots = [Profile(end, width) for width in WIDTHS for end in ends]
        weights = reconstruction_weights(snapshots, Profile(STEPS, 0.15))
        fit = weights @ np.stack([closed_form(snapshot) for snapshot in snapshots])
        return float(np.abs(fit - closed_form(Profile(STEPS, 0.15))).sum())

    errors = [error(count) for count in (4, 16, 64)]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]
    assert errors[2] < 0.005


def test_a_snapshot_reconstructs_itself() -> None:
    snapshots = [Profile(step, width) for width in WIDTHS for step in range(64, STEPS + 1, 64)]
    weights = reconstruction_weights(snapshots, Profile(512, 0.05))
    np.testing.assert_allclose(weights, [snapshot == Profile(512, 0.05) for snapshot in snapshots], atol=1e-6)


def test_steps_beyond_the_last_snapshot_and_doubles_are_refused() -> None:
    with pytest.raises(ValueError, match="no snapshot reaches step 200"):
        reconstruction_weights([Profile(100, 0.05), Profile(100, 0.1)], Profile(200, 0.07))
    with pytest.raises(ValueError, match="twice"):
        reconstruction_weights([Profile(100, 0.05), Profile(100, 0.05)], Profile(100, 0.07))
