"""The GAN: losses and penalties against closed forms, initialisation, separation of the two updates."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.gan import GanLearner, gradient_penalty, relativistic_loss
from synthassay.generators.networks.r3gan import Discriminator, Generator
from synthassay.generators.specs import GanSpec, R3GanNetworkSpec, TrainingSpec

NETWORK = R3GanNetworkSpec(patch=2, channels=(8, 16), expansion=2, group_width=8, latent_size=4, embedding_size=4)


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


def networks() -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    labels = Vocabulary(("label",), (("0", "1"),))
    return Generator(NETWORK, 1, labels, (4, 4)), Discriminator(NETWORK, 1, labels, (4, 4))


def labels(codes: Tensor) -> Condition:
    n = len(codes)
    return Condition(codes.view(n, 1), torch.zeros(n, 0), torch.zeros(n, 0, 1, 1))


def test_blocks_start_as_the_identity_and_signals_neither_vanish_nor_explode() -> None:
    generator, discriminator = networks()
    block = generator.stages[0][0]  # type: ignore[index]
    x = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(block(x), x)
    images = generator(torch.randn(256, 4), labels(torch.zeros(256, dtype=torch.long)))
    assert images.shape == (256, 1, 16, 16)
    assert 0.2 < float(images.detach().std()) < 5
    logits = discriminator(torch.randn(256, 1, 16, 16), labels(torch.zeros(256, dtype=torch.long)))
    assert logits.shape == (256,)
    assert 0.05 < float(logits.detach().std()) < 5
    assert not [m for net in networks() for m in net.modules() if "norm" in type(m).__name__.lower()]


def test_both_networks_see_the_class() -> None:
    generator, discriminator = networks()
    latent, images = torch.randn(1, 4).expand(2, -1), torch.randn(1, 1, 16, 16).expand(2, -1, -1, -1)
    classes = labels(torch.tensor([1, 2]))
    drawn, logits = generator(latent, classes), discriminator(images, classes)
    assert not torch.allclose(drawn[0], drawn[1])
    assert not torch.allclose(logits[0], logits[1])


def learner(penalty_every: int) -> GanLearner:
    training = TrainingSpec(steps=4, batch_size=4, gradient_clip=0.0)
    spec = GanSpec(network=NETWORK, penalty_every=penalty_every, gamma=2.0, training=training)
    return GanLearner(spec, *networks(), device=torch.device("cpu"))


def snapshot(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def step(gan: GanLearner, k: int) -> dict[str, Tensor]:
    images, condition, shown = torch.randn(4, 1, 16, 16), labels(torch.tensor([1, 2, 1, 2])), {}
    for phase in gan.phases(k):
        losses = phase.loss(images, condition, *phase.draws(4, torch.Generator().manual_seed(k)))
        parameters = list(gan.modules[phase.module].parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(losses.descended, parameters), strict=True):
            parameter.grad = gradient
        gan.optimisers[phase.module].step()
        shown |= losses.shown
    return shown


def test_one_update_moves_both_networks_and_reports_every_loss() -> None:
    gan = learner(penalty_every=1)
    before = snapshot(gan.generator), snapshot(gan.discriminator)
    losses = step(gan, 0)
    assert set(losses) == {"discriminator", "generator", "r1", "r2"}
    for old, module in zip(before, (gan.generator, gan.discriminator), strict=True):
        assert any(not torch.equal(a, b) for a, b in zip(old, module.parameters(), strict=True))


def test_lazy_penalties_come_every_so_many_steps() -> None:
    gan = learner(penalty_every=2)
    reported = [set(step(gan, k)) for k in range(4)]
    assert ["r1" in names for names in reported] == [True, False, True, False]


def test_group_width_must_divide_the_inner_width() -> None:
    with pytest.raises(ValidationError, match="multiple of group_width=16"):
        R3GanNetworkSpec(channels=(8, 20), expansion=1)
