"""The VAE: the terms of its bound against closed forms, and how the class enters."""

import math

import pytest
import torch
from pydantic import ValidationError

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.networks.gaussians import gaussian_nll, kl_to_standard_normal
from synthassay.generators.specs import VaeNetworkSpec
from synthassay.generators.vae import ConditionalVae

NETWORK = VaeNetworkSpec(patch=2, channels=(8, 16), strides=(2, 2), norm_groups=4, latent_size=6)


def vae() -> ConditionalVae:
    torch.manual_seed(0)
    return ConditionalVae(NETWORK, (1, 16, 16), Vocabulary(("label",), (("0", "1"),)))


def labels(*codes: int) -> Condition:
    n = len(codes)
    return Condition(torch.tensor(codes).view(n, 1), torch.zeros(n, 0), torch.zeros(n, 0, 1, 1))


def test_the_learnt_noise_has_its_optimum_at_the_rms_error() -> None:
    images, expected = torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 0.2)
    log_sigma = torch.tensor(math.log(0.2), requires_grad=True)
    (slope,) = torch.autograd.grad(gaussian_nll(images, expected, log_sigma).sum(), log_sigma)
    assert float(slope) == pytest.approx(0, abs=1e-4)


def test_encoder_and_decoder_see_the_class() -> None:
    network = vae()
    classes = labels(1, 2)
    mean, log_variance = network.posterior(torch.randn(1, 1, 16, 16).expand(2, -1, -1, -1), classes)
    assert mean.shape == log_variance.shape == (2, 6)
    assert not torch.allclose(mean[0], mean[1])
    images = network.generate(torch.randn(1, 6).expand(2, -1), classes)
    assert images.shape == (2, 1, 16, 16)
    assert not torch.allclose(images[0], images[1])


def test_brightness_survives_the_encoder() -> None:
    network = vae()
    dim = torch.randn(1, 1, 16, 16)
    mean, _ = network.posterior(torch.cat([dim, 0.2 * dim + 1]), labels(1, 1))
    assert not torch.allclose(mean[0], mean[1], atol=1e-3)  # instance normalisation alone would make them equal


def test_the_terms_are_those_of_a_draw_from_the_posterior() -> None:
    network = vae()
    images, classes, noise = torch.randn(3, 1, 16, 16), labels(1, 2, 0), torch.randn(3, 6)
    mean, log_variance = network.posterior(images, classes)
    expected = network.generate(mean + noise * (log_variance / 2).exp(), classes)
    reconstruction, kl = network.terms(images, classes, noise)
    torch.testing.assert_close(reconstruction, gaussian_nll(images, expected, network.log_sigma))
    torch.testing.assert_close(kl, kl_to_standard_normal(mean, log_variance))


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="give both the same number"):
        VaeNetworkSpec(channels=(8, 16), strides=(2, 2, 2))
    with pytest.raises(ValidationError, match="multiples of norm_groups"):
        VaeNetworkSpec(channels=(8, 12), strides=(2, 2))
