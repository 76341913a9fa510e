"""The GAN's learner: separation of the two updates, lazy penalties, schedules, augmentation that follows."""

import pytest
import torch
from torch import Tensor, nn

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.gan.learner import GanLearner
from synthassay.generators.gan.specs import AugmentationSpec, GanSpec, R3GanNetworkSpec
from synthassay.generators.networks.r3gan import Discriminator, Generator
from synthassay.generators.specs import TrainingSpec

NETWORK = R3GanNetworkSpec(patch=2, channels=(8, 16), expansion=2, group_width=8, latent_size=4, embedding_size=4)
LABELS = Vocabulary(("label",), (("0", "1"),))


def learner(**settings: object) -> GanLearner:
    training = TrainingSpec(steps=4, batch_size=4, gradient_clip=0.0, beta1=0.0)
    spec = GanSpec(network=NETWORK, gamma=2.0, gamma_end=0.5, training=training).model_copy(update=settings)
    torch.manual_seed(0)
    networks = Generator(NETWORK, 1, LABELS, (4, 4)), Discriminator(NETWORK, 1, LABELS, (4, 4))
    return GanLearner(spec, *networks, device=torch.device("cpu"))


def snapshot(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def step(gan: GanLearner, k: int) -> dict[str, Tensor]:
    images, shown = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(7)), {}
    condition = Condition(torch.tensor([[1], [2], [1], [2]]), torch.zeros(4, 0), torch.zeros(4, 0, 1, 1))
    for phase in gan.phases(k):
        losses = phase.loss(images, condition, *phase.draws(4, torch.Generator().manual_seed(k)))
        parameters = list(gan.modules[phase.module].parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(losses.descended, parameters), strict=True):
            parameter.grad = gradient
        gan.optimisers[phase.module].step()
        shown |= losses.shown
    gan.after(k, shown)
    return shown


def test_one_update_moves_both_networks_and_reports_every_loss() -> None:
    gan = learner()
    before = snapshot(gan.generator), snapshot(gan.discriminator)
    assert set(step(gan, 0)) == {"discriminator", "generator", "r1", "r2", "separation", "p"}
    for old, module in zip(before, (gan.generator, gan.discriminator), strict=True):
        assert any(not torch.equal(a, b) for a, b in zip(old, module.parameters(), strict=True))


def test_lazy_penalties_come_every_so_many_steps() -> None:
    gan = learner(penalty_every=2)
    reported = [set(step(gan, k)) for k in range(4)]
    assert ["r1" in names for names in reported] == [True, False, True, False]


def test_gamma_and_beta2_reach_their_ends_with_the_burn_in() -> None:
    gan = learner(burn_in=0.5)
    weights, betas = [], []
    for k in range(4):
        weights.append(gan.phases(k)[0].loss.keywords["penalty"])  # type: ignore[attr-defined]
        betas.append(gan.optimisers["generator"].param_groups[0]["betas"])
    assert weights == pytest.approx([1.0, 0.625, 0.25, 0.25])
    assert [second for _, second in betas] == pytest.approx([0.9, 0.945, 0.99, 0.99])
    assert {first for first, _ in betas} == {0.0}


def test_the_strength_of_the_augmentation_is_part_of_the_state() -> None:
    gan = learner(augmentation=AugmentationSpec(speed=8, window=1, target=0.01))
    for k in range(3):
        shown = step(gan, k)
    assert float(gan.augmentation.separation) == pytest.approx(float(shown["separation"]))
    assert 0 <= float(gan.augmentation.p) <= 0.8
    other = learner()
    other.modules["augmentation"].load_state_dict(gan.modules["augmentation"].state_dict())
    assert torch.equal(other.augmentation.p, gan.augmentation.p)


def test_penalties_run_through_augmented_images() -> None:
    gan = learner(augmentation=AugmentationSpec(start=0.8, turns=True))
    before = snapshot(gan.discriminator)
    assert all(bool(value.isfinite()) for value in step(gan, 0).values())
    assert any(not torch.equal(a, b) for a, b in zip(before, gan.discriminator.parameters(), strict=True))
