"""EDM2's network and averages against the authors' code (github.com/NVlabs/edm2, commit d8299d3), run once, elsewhere.

There, small numbers that keep it from dividing by zero were set to 0: they are bounds here, and terms there.
"""

import math

import numpy as np
import torch
from torch import Tensor

from synthassay.generators.networks.magnitude_preserving import MagnitudePreservingUNet
from synthassay.generators.networks.specs import MagnitudePreservingSpec
from synthassay.generators.training.averages import WIDTHS, Profile, reconstruction_weights

DIAGONALS = (  # of the two images that come out
    (0.06676, 0.068705, -0.058203, -0.100801, -0.073083, 0.003931, 0.061029, -0.031292),
    (-0.000139, 0.059235, 0.112822, 0.053988, 0.071973, -0.077137, -0.048372, 0.026694),
)


def wave(shape: tuple[int, ...], k: int) -> Tensor:
    """Numbers that any code can make again."""
    positions = np.arange(1, math.prod(shape) + 1)
    return torch.from_numpy(np.sin(positions * (1.3 + 0.1 * k) + k).reshape(shape)).float()


@torch.no_grad()
def test_the_network_gives_what_the_authors_gives() -> None:
    spec = MagnitudePreservingSpec(
        patch=1, channels=(16, 32), res_blocks=(1, 1), attention=(False, True), head_channels=8
    )
    net = MagnitudePreservingUNet(spec, 2, 1, 1, 3)
    for k, parameter in enumerate(net.parameters()):
        parameter.copy_(wave(tuple(parameter.shape), k))
    net.fourier.frequencies.copy_(wave((16,), 101))
    net.fourier.phases.copy_(wave((16,), 102))
    output = net(wave((2, 1, 8, 8), 7), torch.tensor([-1.2, 0.4]), torch.eye(3)[:2])
    torch.testing.assert_close(output[:, 0].diagonal(dim1=1, dim2=2), torch.tensor(DIAGONALS), atol=1e-5, rtol=0)


def test_reconstruction_is_near_the_authors_rescaled_fit() -> None:
    snapshots = [Profile(256 * (i + 1), width) for width in WIDTHS for i in range(4)]
    weights = reconstruction_weights(snapshots, Profile(1024, 0.07))
    authors = [0.0, 0.000084, 0.010686, 0.434567, 0.0, -0.000568, -0.043921, 0.599153]
    np.testing.assert_allclose(weights, authors, atol=0.01)
