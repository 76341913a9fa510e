"""EDM2's network: magnitudes, weight normalisation, shapes, gradients, bfloat16."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from synthassay.generators.networks.folding import fold, unfold
from synthassay.generators.networks.magnitude_preserving import Block, MagnitudePreservingUNet
from synthassay.generators.networks.magnitudes import (
    FourierFeatures,
    UnitConv,
    enforce,
    mp_cat,
    mp_silu,
    mp_sum,
    normalised,
)
from synthassay.generators.networks.specs import MagnitudePreservingSpec
from synthassay.generators.networks.uncertainty import Uncertainty, balanced

SPEC = MagnitudePreservingSpec(channels=(32, 64), res_blocks=(1, 2), attention=(False, True), head_channels=16, patch=2)
SIDES = {2: (32, 48), 3: (16, 24, 16)}
DIMS = pytest.mark.parametrize("dims", [2, 3])


def magnitude(x: Tensor) -> float:
    return float(x.detach().square().mean().sqrt())


def network(dims: int, spec: MagnitudePreservingSpec = SPEC, embedding: int | None = 8) -> MagnitudePreservingUNet:
    torch.manual_seed(0)
    net = MagnitudePreservingUNet(spec, dims, 2, 1, embedding)
    nn.init.ones_(net.output_gain)
    return net


def batch(dims: int, n: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(n, 2, *SIDES[dims]), torch.linspace(-1.5, 1.0, n), torch.randn(n, 8)


def test_operations_keep_magnitude() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(64, 40, 32), 3 * torch.randn(64, 10, 32)
    assert magnitude(mp_silu(a)) == pytest.approx(1, abs=0.01)
    assert magnitude(mp_sum(a, torch.randn_like(a), 0.3)) == pytest.approx(1, abs=0.01)
    assert magnitude(FourierFeatures(512)(torch.linspace(-1.6, 1.1, 64))) == pytest.approx(1, abs=0.03)
    torch.testing.assert_close(normalised(b, 1).square().mean(1), torch.ones(64, 32))
    joined = mp_cat(a, b / 3)
    assert magnitude(joined) == pytest.approx(1, abs=0.01)  # and each part sends the same power on
    assert float(joined[:, :40].square().sum() / joined[:, 40:].square().sum()) == pytest.approx(1, abs=0.03)


def test_zeros_stay_zeros_with_finite_gradients() -> None:
    x = torch.zeros(2, 4, requires_grad=True)
    y = normalised(x, 1)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert not y.any()
    assert bool(gradient.isfinite().all())


@DIMS
def test_activations_start_with_unit_magnitude_at_every_block(dims: int) -> None:
    net, seen = network(dims), []
    blocks = [module for module in net.modules() if isinstance(module, Block)]
    for block in blocks:
        block.register_forward_hook(lambda _, __, output: seen.append(magnitude(output)))
    net(*batch(dims))
    assert len(seen) == len(blocks) == 4 + 8
    # Below 1, not above: zeros at the border and attention's averages take some away (the paper allows for both).
    assert min(seen) > 0.7
    assert max(seen) < 1.1


@DIMS
def test_a_deep_network_keeps_its_magnitude(dims: int) -> None:
    spec = MagnitudePreservingSpec(channels=(16,), res_blocks=(12,), attention=(False,), patch=2)
    assert 0.6 < magnitude(network(dims, spec)(*batch(dims))) < 1.2


@DIMS
def test_the_scale_of_stored_weights_has_no_effect_and_enforcing_restores_it(dims: int) -> None:
    net, inputs = network(dims), batch(dims)
    before = net(*inputs)
    with torch.no_grad():
        for i, module in enumerate(part for part in net.modules() if isinstance(part, UnitConv)):
            module.weight.mul_(0.2 + i)
    torch.testing.assert_close(net(*inputs), before, rtol=1e-4, atol=1e-4)
    enforce(net)
    torch.testing.assert_close(net(*inputs), before, rtol=1e-4, atol=1e-4)
    for module in net.modules():
        if isinstance(module, UnitConv):
            rows = module.weight.flatten(1)
            torch.testing.assert_close(rows.square().mean(1), torch.ones(len(rows)))


def test_gradients_are_orthogonal_to_the_weights() -> None:
    net = network(2).double()
    loss = net(*(tensor.double() for tensor in batch(2))).square().mean()
    weights = [module.weight for module in net.modules() if isinstance(module, UnitConv)]
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        along = (weight * gradient).flatten(1).sum(1)
        lengths = weight.flatten(1).norm(dim=1) * gradient.flatten(1).norm(dim=1)
        assert bool((along.abs() <= 1e-9 * lengths + 1e-15).all())


@DIMS
@pytest.mark.parametrize("patch", [1, 2])
def test_shapes_and_gradients_of_all_parameters(dims: int, patch: int) -> None:
    net = network(dims, SPEC.model_copy(update={"patch": patch}))
    with torch.no_grad():  # at the very start the gains of the embedding are 0 and stop its gradient
        for block in net.modules():
            if isinstance(block, Block):
                block.scale_gain.fill_(0.5)
    x, time, embedding = batch(dims)
    output = net(x, time, embedding)
    assert output.shape == (2, 1, *SIDES[dims])
    assert output.dtype == torch.float32
    for gradient in torch.autograd.grad(output.square().mean(), list(net.parameters())):
        assert bool(gradient.isfinite().all())
        assert float(gradient.abs().max()) > 0


def test_a_training_repeats_bit_for_bit_and_the_output_starts_at_zero() -> None:
    def train() -> Tensor:
        net = MagnitudePreservingUNet(SPEC, 2, 2, 1, 8)
        optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
        optimiser.register_step_post_hook(lambda *_: enforce(net))
        x, time, embedding = batch(2)
        assert not net(x, time, embedding).any()
        for _ in range(3):
            parameters = list(net.parameters())
            loss = (net(x, time, embedding) - x[:, :1]).square().mean()
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter.grad = gradient
            optimiser.step()
        return nn.utils.parameters_to_vector(net.parameters()).detach()

    torch.manual_seed(3)
    first = train()
    torch.manual_seed(3)
    assert torch.equal(first, train())


def test_conditions_and_noise_levels_reach_the_output() -> None:
    net = network(2)
    with torch.no_grad():
        for block in net.modules():
            if isinstance(block, Block):
                block.scale_gain.fill_(0.5)
    x, time, embedding = batch(2)
    base = net(x, time, embedding)
    assert magnitude(net(x, time + 0.3, embedding) - base) > 0.05
    assert magnitude(net(x, time, embedding.flip(0)) - base) > 0.05
    assert magnitude(net(x, time, torch.zeros_like(embedding)) - base) > 0.05
    torch.testing.assert_close(net(x, time, 5 * embedding), base, rtol=1e-4, atol=1e-4)
    assert network(2, embedding=None)(x, time).shape == base.shape
    with pytest.raises(ValueError, match="takes an embedding"):
        net(x, time)


@DIMS
def test_bfloat16_autocast_stays_near_float32(dims: int) -> None:
    net, inputs = network(dims), batch(dims)
    exact = net(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = net(*inputs)
    assert rounded.dtype == torch.bfloat16
    assert magnitude(rounded.float() - exact) < 0.03 * magnitude(exact)


@DIMS
def test_folding_is_undone_by_unfolding(dims: int) -> None:
    x = torch.randn(2, 3, *SIDES[dims])
    folded = fold(x, 2)
    assert folded.shape == (2, 3 * 2**dims, *(side // 2 for side in SIDES[dims]))
    assert torch.equal(unfold(folded, 2), x)
    first = folded.flatten(2)[:, : 2**dims, 0]  # the first patch of the first channel lies along the channels
    assert torch.equal(first, x[(slice(None), 0, *[slice(2)] * dims)].flatten(1))


def test_folding_agrees_with_torch_in_2d() -> None:
    x = torch.randn(2, 3, 8, 12)
    assert torch.equal(fold(x, 4), nn.functional.pixel_unshuffle(x, 4))
    assert torch.equal(unfold(fold(x, 4), 4), nn.functional.pixel_shuffle(fold(x, 4), 4))


def test_uncertainty_learns_the_logarithm_of_the_loss() -> None:
    torch.manual_seed(0)
    u = Uncertainty()
    optimiser = torch.optim.Adam(u.parameters(), lr=0.02)
    for _ in range(400):
        time = torch.randn(64) * 0.3 - 0.3
        expected = (1 + 2 * time).exp()
        losses = expected * -torch.rand(64).clamp_min(1e-6).log()  # exponential: mean `expected`
        optimiser.zero_grad()
        balanced(losses, u(time)).mean().backward()
        optimiser.step()
        enforce(u)
    time = torch.linspace(-0.7, 0.1, 9)
    assert float((u(time) - (1 + 2 * time)).abs().max().detach()) < 0.35
    assert magnitude(u.linear.weight.flatten()) == pytest.approx(1)


def test_the_balanced_loss_is_least_at_the_logarithm_of_the_loss() -> None:
    losses = torch.tensor([0.1, 1.0, 7.0], dtype=torch.float64)
    u = losses.log().requires_grad_()
    (gradient,) = torch.autograd.grad(balanced(losses, u).sum(), u)
    torch.testing.assert_close(gradient, torch.zeros(3, dtype=torch.float64))
    assert float(balanced(losses, u.detach())[2]) == pytest.approx(1 + math.log(7))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"res_blocks": (1,)}, "3 levels"),
        ({"channels": (24, 48, 90)}, "multiples of head_channels"),
        ({"res_blocks": (1, 0, 1)}, "at least 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MagnitudePreservingSpec.model_validate(change)
