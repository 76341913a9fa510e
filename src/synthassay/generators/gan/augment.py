"""Adaptive discriminator augmentation (Karras et al. 2020, arXiv 2006.06676), for images and volumes.

The discriminator sees real and generated images through the same random transforms only. As long as each is left out
often enough (``p`` below 0.8), the distribution behind it can be told from that of the augmented images, and the
generator does not learn the transforms (section 2.2 of the paper).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from synthassay.generators.gan.specs import AugmentationSpec

TRANSLATION = 0.125  # whole pixels: up to this share of a side; fractions: its deviation
SCALE = 0.2  # deviation of log2 of the zoom
BRIGHTNESS = 0.1  # deviation of the offset, in units where images have deviation 0.5
CONTRAST = 0.5  # deviation of log2 of the gain


def draws_per_image(dims: int) -> int:
    """How many uniform numbers :func:`augment` needs for an image of ``dims`` axes."""
    return 3 * dims + 13


class _Draws:
    """Hands out columns of uniform numbers; each transform is on where its first number is below p."""

    def __init__(self, uniform: Tensor, p: Tensor) -> None:
        self.columns, self.p, self.next = uniform, p, 0

    def uniform(self, count: int = 1) -> Tensor:
        """``[b, count]`` in (0, 1)."""
        found = self.columns[:, self.next : self.next + count]
        self.next += count
        return found

    def normal(self, count: int = 1) -> Tensor:
        """``[b, count]`` from N(0, 1)."""
        found: Tensor = torch.special.ndtri(self.uniform(count).clamp(1e-6, 1 - 1e-6))
        return found

    def on(self) -> Tensor:
        """``[b, 1]`` bool."""
        return self.uniform() < self.p


def augment(images: Tensor, p: Tensor, uniform: Tensor, spec: AugmentationSpec) -> Tensor:
    """``images`` ``[b, c, *s]`` after each transform with probability ``p`` ``[]``; differentiable in ``images``.

    All randomness is ``uniform`` ``[b, draws_per_image]`` in [0, 1), so a row depends on nothing but its own numbers.
    Flips, quarter turns and shifts by whole pixels move pixels exactly; zoom, rotation and shifts by fractions
    interpolate linearly. What comes from beyond the edge is a reflection. A penalty on the gradient is to be taken at
    the augmented images: resampling has no second derivative in PyTorch.
    """
    sides = images.shape[2:]
    draws = _Draws(uniform.float(), p)
    where, moved = _geometry(draws, sides, spec)
    grid = functional.affine_grid(where[:, :-1], [len(images), 1, *sides], align_corners=False)
    resampled = functional.grid_sample(images, grid.to(images.dtype), padding_mode="reflection", align_corners=False)
    shape = (-1, *[1] * (images.ndim - 1))
    seen = torch.where(moved.view(shape), resampled, images)
    offset = torch.where(draws.on(), BRIGHTNESS * draws.normal(), 0.0)
    gain = torch.where(draws.on(), torch.exp2(CONTRAST * draws.normal()), 1.0)
    return (seen + offset.view(shape)) * gain.view(shape) if spec.intensity else seen


def _geometry(draws: _Draws, sides: Sequence[int], spec: AugmentationSpec) -> tuple[Tensor, Tensor]:
    """Where each pixel comes from: ``[b, d + 1, d + 1]`` in affine_grid's coordinates (last axis first, −1 to 1), and
    which rows ``[b]`` are moved at all."""
    dims = len(sides)
    on, flip = draws.on(), draws.uniform(dims) < 0.5
    chosen = torch.tensor([axis - dims in spec.flips for axis in reversed(range(dims))], device=flip.device)
    flipped = on & flip & chosen
    ways = torch.where(flipped, -1.0, 1.0)
    where, moved = _scaling(ways), flipped.any(1)

    on, quarters = draws.on(), (4 * draws.uniform()).floor()
    turned = on & (quarters > 0) & (spec.turns and sides[-1] == sides[-2])
    where, moved = where @ _rotation(quarters * turned * (math.pi / 2), sides), moved | turned[:, 0]

    size = torch.tensor(list(reversed(sides)), device=flip.device)
    on, whole = draws.on(), ((2 * draws.uniform(dims) - 1) * TRANSLATION * size).round()
    shifted = on & (whole != 0)
    where, moved = where @ _translation(2 / size * whole * shifted), moved | shifted.any(1)

    on, zoom = draws.on(), torch.exp2(SCALE * draws.normal())
    where, moved = where @ _scaling(torch.where(on, zoom, 1.0).expand(-1, dims)), moved | on[:, 0]
    on, angle = draws.on(), (2 * draws.uniform() - 1) * math.pi * spec.rotation / 180
    where, moved = where @ _rotation(angle * on, sides), moved | on[:, 0]
    on, fraction = draws.on(), TRANSLATION * draws.normal(dims)
    return where @ _translation(2 * fraction * on), moved | on[:, 0]


def _scaling(factors: Tensor) -> Tensor:
    return torch.diag_embed(functional.pad(factors, (0, 1), value=1.0))


def _translation(shift: Tensor) -> Tensor:
    matrix = torch.eye(shift.shape[1] + 1, device=shift.device).repeat(len(shift), 1, 1)
    matrix[:, :-1, -1] = shift
    return matrix


def _rotation(angle: Tensor, sides: Sequence[int]) -> Tensor:
    """About the first axis of a volume, in the plane of the last two axes, round in pixels; ``angle`` ``[b, 1]``."""
    cos, sin = angle[:, 0].cos(), angle[:, 0].sin()
    ratio = sides[-2] / sides[-1]
    matrix = torch.eye(len(sides) + 1, device=angle.device).repeat(len(angle), 1, 1)
    matrix[:, 0, 0] = matrix[:, 1, 1] = cos
    matrix[:, 0, 1], matrix[:, 1, 0] = -sin * ratio, sin / ratio
    return matrix


class Augmentation(nn.Module):
    """The strength ``p``, which follows how well the discriminator tells real from generated images.

    Karras et al. steer by E[sign D(real)]. A relativistic discriminator knows no zero: the loss does not change when a
    number is added to all logits, so that sign says nothing. Its own question is which of a pair is real, so the
    statistic here is E[sign(D(real) − D(fake))] over pairs: 0 when it guesses, 1 when it is always right, and the
    rank-sum statistic of the logits whatever their origin. ``p`` rises while the mean is above ``target``.
    """

    p: Tensor
    separation: Tensor

    def __init__(self, spec: AugmentationSpec) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("p", torch.tensor(spec.start))
        self.register_buffer("separation", torch.tensor(spec.target))

    def forward(self, images: Tensor, uniform: Tensor) -> Tensor:
        """``images`` ``[b, c, *s]`` as the discriminator sees them."""
        return augment(images, self.p, uniform, self.spec) if self.spec.limit else images

    @torch.no_grad()
    def adapt(self, separation: Tensor, images: int) -> None:
        """After a step of ``images`` images in which the mean sign of the pairs was ``separation`` ``[]``."""
        spec = self.spec
        self.separation.lerp_(separation.to(self.separation), min(1.0, images / spec.window))
        self.p.add_((self.separation - spec.target).sign() * images / spec.speed).clamp_(0.0, spec.limit)
