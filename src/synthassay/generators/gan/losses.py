"""The losses of R3GAN (Huang et al. 2024, arXiv 2501.05441), as functions of logits and images."""

import torch
from torch import Tensor
from torch.nn import functional


def relativistic_loss(better: Tensor, worse: Tensor) -> Tensor:
    """E[softplus(−(better − worse))] over pairs of logits ``[b]`` (section 2 of the paper, with f(t) = −log(1 + e^−t)).

    The discriminator minimises it with real as the better one, the generator with fake: each pair is compared, so a
    generator that serves only part of the data cannot win by moving every fake to one side of a boundary.
    """
    return functional.softplus(worse - better).mean()


def gradient_penalty(images: Tensor, logits: Tensor) -> Tensor:
    """Zero-centred penalty E|∇ₓ D(x)|² ``[]`` at ``images``: R1 on real ones, R2 on generated ones."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().square().flatten(1).sum(1).mean()


def separation(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """E[sign(D(real) − D(fake))] ``[]`` over pairs of logits ``[b]``: 0 for a guess, 1 when each pair is told apart."""
    return (on_real.detach() - on_fake.detach()).sign().mean()
