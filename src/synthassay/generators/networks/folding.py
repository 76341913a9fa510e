"""Pixels folded into channels, so that a network works at a fraction of the size."""

from torch import Tensor


def fold(images: Tensor, patch: int) -> Tensor:
    """``[b, c, *s]`` → ``[b, c·patch^d, *(s / patch)]`` for d = 2 or 3 dimensions (2D: as ``pixel_unshuffle``)."""
    if patch == 1:
        return images
    b, c, *sides = images.shape
    dims = len(sides)
    split = images.reshape(b, c, *(part for side in sides for part in (side // patch, patch)))
    coarse, fine = range(2, 2 + 2 * dims, 2), range(3, 3 + 2 * dims, 2)
    return split.permute(0, 1, *fine, *coarse).reshape(b, c * patch**dims, *(side // patch for side in sides))


def unfold(folded: Tensor, patch: int) -> Tensor:
    """The inverse of :func:`fold`."""
    if patch == 1:
        return folded
    b, channels, *sides = folded.shape
    dims = len(sides)
    split = folded.reshape(b, channels // patch**dims, *[patch] * dims, *sides)
    order = [axis for d in range(dims) for axis in (2 + dims + d, 2 + d)]
    return split.permute(0, 1, *order).reshape(b, channels // patch**dims, *(side * patch for side in sides))
