"""Likelihood and divergence of normal distributions, in nats for each image."""

import math

from torch import Tensor


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, e^log_variance) ‖ N(0, I)), per row of ``[b, d]`` or ``[b, c, *s]``."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)


def gaussian_nll(images: Tensor, expected: Tensor, log_sigma: Tensor) -> Tensor:
    """−log N(images; expected, e^(2·log_sigma)·I), per image of ``[b, c, *s]``."""
    squares = ((images - expected) * (-log_sigma).exp()).square()
    return (0.5 * squares + log_sigma + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)
