"""The GAN's losses against closed forms."""

import math

import pytest
import torch

from synthassay.generators.gan.losses import gradient_penalty, relativistic_loss, separation


def test_the_relativistic_loss_compares_pairs() -> None:
    better, worse = torch.tensor([1.0, -2.0, 0.0]), torch.tensor([0.0, 0.0, 0.0])
    expected = (math.log1p(math.exp(-1)) + math.log1p(math.exp(2)) + math.log(2)) / 3
    assert float(relativistic_loss(better, worse)) == pytest.approx(expected, rel=1e-6)
    assert float(relativistic_loss(better + 5, worse + 5)) == pytest.approx(expected, rel=1e-6)  # differences only
    assert float(relativistic_loss(worse + 9, worse)) < float(relativistic_loss(worse, worse))


def test_the_penalty_of_a_linear_discriminator_is_its_squared_weight() -> None:
    weight = torch.randn(3 * 4 * 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    images = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    penalty = gradient_penalty(images, images.flatten(1) @ weight)
    torch.testing.assert_close(penalty, weight.square().sum())
    (slope,) = torch.autograd.grad(penalty, weight)  # the penalty trains the discriminator
    torch.testing.assert_close(slope, 2 * weight)


def test_the_penalty_of_a_quadratic_discriminator_is_its_mean_squared_gradient() -> None:
    images = torch.randn(6, 1, 3, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()
    penalty = gradient_penalty(images, images.square().flatten(1).sum(1) / 2)
    torch.testing.assert_close(penalty, images.square().flatten(1).sum(1).mean())


def test_separation_knows_no_zero_of_the_logits() -> None:
    on_real, on_fake = torch.tensor([3.0, 1.0, 5.0, -1.0]), torch.tensor([2.0, 2.0, 2.0, -9.0])
    assert float(separation(on_real, on_fake)) == 0.5
    assert float(separation(on_real - 100, on_fake - 100)) == 0.5
