import pytest
import torch
from torch.distributions import Normal, kl_divergence

from synthassay.generators.networks.gaussians import gaussian_nll, kl_to_standard_normal


@pytest.mark.parametrize("shape", [(4, 6), (3, 2, 4, 4)])
def test_kl_agrees_with_torch_distributions_and_is_0_at_the_prior(shape: tuple[int, ...]) -> None:
    mean, log_variance = torch.randn(shape), torch.randn(shape)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).flatten(1).sum(1)
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected)
    assert float(kl_to_standard_normal(torch.zeros(1, 6), torch.zeros(1, 6))) == 0


def test_reconstruction_is_the_negative_log_density_of_a_gaussian() -> None:
    images, expected, log_sigma = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4), torch.tensor(-0.7)
    density = torch.distributions.Normal(expected, log_sigma.exp()).log_prob(images).flatten(1).sum(1)
    torch.testing.assert_close(gaussian_nll(images, expected, log_sigma), -density)
