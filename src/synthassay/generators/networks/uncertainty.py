"""The loss weight of each noise level, learnt (Karras et al. 2024, arXiv 2312.02696, equations 14 to 21)."""

from torch import Tensor, nn

from synthassay.generators.networks.magnitudes import FourierFeatures, UnitConv


class Uncertainty(nn.Module):
    """u(σ), the logarithm of the loss to expect at noise level σ. It trains with the denoiser and is then dropped.

    Noise levels are tasks of one training (Kendall et al. 2018): divided by e^u each gives gradients of equal size,
    however its loss has fallen. u(σ) is a linear map of fixed Fourier features; at the start it is a random curve of
    magnitude 1.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.fourier = FourierFeatures(width)
        self.linear = UnitConv(width, 1)

    def forward(self, time: Tensor) -> Tensor:
        """``time`` ``[b]`` (ln(σ)/4) → u ``[b]``."""
        logarithm: Tensor = self.linear(self.fourier(time)).flatten()
        return logarithm


def balanced(losses: Tensor, uncertainty: Tensor) -> Tensor:
    """``losses / e^u + u`` per image, both ``[b]``; u minimises it at the logarithm of the expected loss."""
    return losses * (-uncertainty).exp() + uncertainty
