"""R3GAN's networks, in two and three dimensions: initialisation, shapes, conditions."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.gan.specs import R3GanNetworkSpec
from synthassay.generators.networks.r3gan import Discriminator, Generator, image_end, stem

SPEC = R3GanNetworkSpec(patch=2, channels=(8, 16), expansion=2, group_width=8, latent_size=4, embedding_size=4)
LABELS = Vocabulary(("label",), (("0", "1"),))


def networks(vocabulary: Vocabulary = LABELS, base: tuple[int, ...] = (4, 4)) -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    return Generator(SPEC, 1, vocabulary, base), Discriminator(SPEC, 1, vocabulary, base)


def condition(codes: list[int], masks: Tensor | None = None) -> Condition:
    n = len(codes)
    planes = torch.zeros(n, 0, 1, 1) if masks is None else masks
    return Condition(torch.tensor(codes).view(n, 1), torch.zeros(n, 0), planes)


def test_blocks_start_as_the_identity_and_signals_neither_vanish_nor_explode() -> None:
    generator, discriminator = networks()
    x = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(generator.stages[0][0](x), x)  # type: ignore[index]
    images = generator(torch.randn(256, 4), condition([1] * 256))
    assert images.shape == (256, 1, 16, 16)
    assert 0.2 < float(images.detach().std()) < 5
    logits = discriminator(torch.randn(256, 1, 16, 16), condition([1] * 256))
    assert logits.shape == (256,)
    assert 0.05 < float(logits.detach().std()) < 5
    assert not [m for net in networks() for m in net.modules() if "norm" in type(m).__name__.lower()]


@pytest.mark.parametrize("base", [(4, 4), (4, 3, 2)])
def test_both_networks_work_in_two_and_three_dimensions(base: tuple[int, ...]) -> None:
    generator, discriminator = networks(base=base)
    images = generator(torch.randn(3, 4), condition([0, 1, 2]))
    assert images.shape == (3, 1, *(4 * side for side in base))
    assert discriminator(images, condition([0, 1, 2])).shape == (3,)


def test_both_networks_see_the_class() -> None:
    generator, discriminator = networks()
    latent, images = torch.randn(1, 4).expand(2, -1), torch.randn(1, 1, 16, 16).expand(2, -1, -1, -1)
    drawn, logits = generator(latent, condition([1, 2])), discriminator(images, condition([1, 2]))
    assert not torch.allclose(drawn[0], drawn[1])
    assert not torch.allclose(logits[0], logits[1])


def test_both_networks_see_the_mask() -> None:
    generator, discriminator = networks(Vocabulary(("label",), (("0", "1"),), mask_classes=2))
    masks = torch.zeros(2, 3, 16, 16)
    masks[1, 0], masks[1, 2, 4:8, 4:8] = 1.0, 1.0
    given = condition([1, 1], masks)
    drawn = generator(torch.randn(1, 4).expand(2, -1), given)
    logits = discriminator(torch.randn(1, 1, 16, 16).expand(2, -1, -1, -1), given)
    assert not torch.allclose(drawn[0], drawn[1])
    assert not torch.allclose(logits[0], logits[1])


def test_without_conditions_the_discriminator_still_tells_images_apart() -> None:
    _, discriminator = networks(Vocabulary())
    nothing = Condition(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, 0), torch.zeros(2, 0, 1, 1))
    logits = discriminator(torch.randn(2, 1, 16, 16), nothing)
    assert not torch.allclose(logits[0], logits[1])


@pytest.mark.parametrize(("patch", "mode"), [(2, "bilinear"), (4, "bilinear"), (2, "trilinear")])
def test_the_image_end_starts_as_linear_interpolation(patch: int, mode: str) -> None:
    dims = 2 if mode == "bilinear" else 3
    end = image_end(dims, 3, 2, patch)
    x = torch.randn(1, 3, *[6] * dims)
    projected = torch.einsum("bi...,io->bo...", x, _projection(end, patch, dims))
    expected = functional.interpolate(projected, scale_factor=float(patch), mode=mode, align_corners=False)
    inner = (..., *[slice(patch, -patch)] * dims)  # beyond the edge one has zeros and the other its last pixel
    torch.testing.assert_close(end(x)[inner], expected[inner], rtol=1e-4, atol=1e-5)
    assert stem(dims, 2, 3, patch)(end(x)).shape == x.shape


def _projection(end: torch.nn.Module, patch: int, dims: int) -> Tensor:
    """The channel weights: the kernel over its largest value."""
    kernel = end.weight.detach()  # type: ignore[union-attr, operator]
    largest = (1 - 0.5 / patch) ** dims
    return kernel[(slice(None), slice(None), *[patch] * dims)] / largest


def test_group_width_must_divide_the_inner_width() -> None:
    with pytest.raises(ValidationError, match="multiple of group_width=16"):
        R3GanNetworkSpec(channels=(8, 20), expansion=1)
