"""Guidance: a denoiser pushed away from a weaker one."""

import math

from torch import Tensor

from synthassay.generators.diffusion.solvers import Denoiser

EVERYWHERE = (0.0, math.inf)


def guided(
    strong: Denoiser, weak: Denoiser, scale: float, interval: tuple[float, float] = EVERYWHERE
) -> Denoiser:  # fmt: skip
    """D = D_weak + scale·(D_strong − D_weak), where σ is in ``interval`` (low, high]; elsewhere D_strong alone.

    Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598): ``weak`` is the same network without the condition;
    this scale is 1 + w of the paper. Autoguidance (Karras et al. 2024, arXiv 2406.02507): ``weak`` is a smaller or less
    trained network with the same condition. The interval: Kynkäänniemi et al. 2024 (arXiv 2404.07724), who guide at
    middle noise levels only. ``weak`` is not evaluated outside of it, and never with a scale of 1.
    """
    if scale == 1:
        return strong
    low, high = interval

    def denoise(x: Tensor, sigma: float) -> Tensor:
        clean = strong(x, sigma)
        if not low < sigma <= high:
            return clean
        other = weak(x, sigma)
        return other + scale * (clean - other)

    return denoise
