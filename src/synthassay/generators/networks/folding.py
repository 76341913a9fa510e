"""Patches folded into channels and back: fewer, wider positions for the same image."""

from torch import Tensor


def fold(images: Tensor, patch: int) -> Tensor:
    """``[b, c, *s]`` → ``[b, c·patch^d, *(s / patch)]`` for d = 2 or 3 sides, which must be multiples of ``patch``.

    In 2D the channels stand as ``torch.pixel_unshuffle`` puts them.
    """
    batch, channels, *sides = images.shape
    d = len(sides)
    split = [part for side in sides for part in (side // patch, patch)]
    within, across = range(3, 2 * d + 2, 2), range(2, 2 * d + 2, 2)
    parts = images.reshape(batch, channels, *split).permute(0, 1, *within, *across)
    return parts.reshape(batch, channels * patch**d, *(side // patch for side in sides))


def unfold(folded: Tensor, patch: int) -> Tensor:
    """The inverse of :func:`fold`."""
    batch, channels, *sides = folded.shape
    d = len(sides)
    outer = channels // patch**d
    order = [axis for i in range(d) for axis in (2 + d + i, 2 + i)]
    parts = folded.reshape(batch, outer, *[patch] * d, *sides).permute(0, 1, *order)
    return parts.reshape(batch, outer, *(side * patch for side in sides))
