"""Adaptive augmentation: exact transforms, independence of rows, gradients, and the strength that follows."""

import pytest
import torch
from torch import Tensor

from synthassay.generators.gan.augment import Augmentation, augment, draws_per_image
from synthassay.generators.gan.specs import AugmentationSpec

NEVER = torch.tensor(0.0)


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def numbers(n: int, dims: int, off: float = 1.0) -> Tensor:
    """Every transform off; a test turns one on by writing its columns."""
    return torch.full((n, draws_per_image(dims)), off)


def uniform(n: int, dims: int, seed: int = 0) -> Tensor:
    return torch.rand(n, draws_per_image(dims), generator=torch.Generator().manual_seed(seed))


def test_at_probability_zero_nothing_changes() -> None:
    x = images(4, 2, 8, 8)
    assert torch.equal(augment(x, NEVER, uniform(4, 2), AugmentationSpec()), x)


@pytest.mark.parametrize(("axis", "column"), [(-1, 1), (-2, 2)])
def test_a_flip_mirrors_pixels_exactly(axis: int, column: int) -> None:
    x, given = images(2, 1, 6, 8), numbers(2, 2)
    given[0, 0], given[0, column] = 0.0, 0.0
    seen = augment(x, torch.tensor(0.5), given, AugmentationSpec(flips=(axis,)))
    torch.testing.assert_close(seen[0], x[0].flip(axis), rtol=0, atol=1e-5)
    assert torch.equal(seen[1], x[1])


def test_a_flip_of_another_axis_is_not_made() -> None:
    x, given = images(1, 1, 6, 8), numbers(1, 2)
    given[0, :3] = 0.0
    seen = augment(x, torch.tensor(0.5), given, AugmentationSpec(flips=(-2,)))
    torch.testing.assert_close(seen, x.flip(-2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 1, 4, 8, 8)])
def test_quarter_turns_move_pixels_exactly(shape: tuple[int, ...]) -> None:
    dims = len(shape) - 2
    x, given = images(*shape), numbers(1, dims)
    given[0, dims + 1], given[0, dims + 2] = 0.0, 0.3  # one quarter
    seen = augment(x, torch.tensor(0.5), given, AugmentationSpec(turns=True))
    turned = [x.rot90(k, (-2, -1)) for k in (1, 3)]
    assert min(float((seen - other).abs().max()) for other in turned) < 1e-5
    assert torch.equal(augment(x, torch.tensor(0.5), given, AugmentationSpec()), x)


def test_whole_shifts_move_pixels_exactly() -> None:
    x, given = images(1, 1, 16, 16), numbers(1, 2)
    given[0, 5], given[0, 6], given[0, 7] = 0.0, 1.0, 0.5  # two pixels along the last axis, none along the other
    seen = augment(x, torch.tensor(0.5), given, AugmentationSpec())
    torch.testing.assert_close(seen[..., :-2], x[..., 2:], rtol=0, atol=1e-5)


def test_rotation_is_round_in_pixels_whatever_the_sides() -> None:
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(48.0), indexing="ij")
    blob = torch.exp(-((rows - 11.5).square() + (columns - 23.5).square()) / 32)[None, None]
    given = numbers(1, 2)
    given[0, 10], given[0, 11] = 0.0, 0.9
    seen = augment(blob, torch.tensor(0.5), given, AugmentationSpec(rotation=90.0))
    middle = (..., slice(4, 20), slice(16, 32))  # reflections stay outside
    assert float((seen - blob)[middle].abs().max()) < 0.02


@pytest.mark.parametrize("shape", [(6, 1, 16, 12), (6, 2, 8, 8, 6)])
def test_a_row_depends_on_its_own_numbers_only(shape: tuple[int, ...]) -> None:
    x, given, spec = images(*shape), uniform(6, len(shape) - 2), AugmentationSpec(turns=True)
    together = augment(x, torch.tensor(0.8), given, spec)
    apart = torch.cat([augment(x[k : k + 1], torch.tensor(0.8), given[k : k + 1], spec) for k in range(6)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-6)
    assert not torch.allclose(together, x)


def test_gradients_reach_the_images() -> None:
    x = images(4, 1, 8, 8).requires_grad_()
    (gradient,) = torch.autograd.grad(augment(x, torch.tensor(0.8), uniform(4, 2), AugmentationSpec()).sum(), x)
    assert bool((gradient.flatten(1).abs().sum(1) > 0).all())


def test_intensity_keeps_the_order_of_pixels() -> None:
    x, given = images(1, 1, 4, 4), numbers(1, 2)
    given[0, -4:] = torch.tensor([0.0, 0.9, 0.0, 0.2])
    seen = augment(x, torch.tensor(0.5), given, AugmentationSpec())
    assert torch.equal(seen.flatten().argsort(), x.flatten().argsort())
    assert not torch.allclose(seen, x)
    assert torch.equal(augment(x, torch.tensor(0.5), given, AugmentationSpec(intensity=False)), x)


def test_strength_follows_the_separation_and_keeps_to_its_limits() -> None:
    strength = Augmentation(AugmentationSpec(speed=100, window=8, limit=0.5))
    for _ in range(10):
        strength.adapt(torch.tensor(1.0), 8)
    assert float(strength.p) == 0.5
    for _ in range(3):
        strength.adapt(torch.tensor(0.0), 8)
    assert float(strength.p) == pytest.approx(0.26)
    assert {"p", "separation"} <= set(strength.state_dict())  # what a checkpoint keeps


def test_without_augmentation_images_pass() -> None:
    x = images(2, 1, 4, 4)
    assert Augmentation(AugmentationSpec(limit=0.0))(x, uniform(2, 2)) is x
