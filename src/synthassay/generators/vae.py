"""A conditional variational autoencoder on MONAI's ``VarAutoEncoder``.

Its latent is one vector with prior N(0, I), which the KL term pulls the posteriors to, so a draw from the prior is a
valid start for the decoder. (``AutoencoderKL`` has a spatial latent whose tiny KL weight leaves the prior unlike the
latents; it needs a second generator on top.)
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from monai.networks.nets.varautoencoder import VarAutoEncoder
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from synthassay.errors import UserError
from synthassay.generators.devices import autocast, compiled, place, seeded
from synthassay.generators.family import Family, Shape, size_message
from synthassay.generators.sampling import Draw
from synthassay.generators.scaling import SIGMA_DATA
from synthassay.generators.specs import VaeNetworkSpec, VaeSpec
from synthassay.generators.training import Pace, descend, step_generator
from synthassay.seeding import derive_seed


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, e^log_variance) ‖ N(0, I)) in nats, per row of ``[b, d]``."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def gaussian_nll(images: Tensor, expected: Tensor, log_sigma: Tensor) -> Tensor:
    """−log N(images; expected, e^(2·log_sigma)·I) in nats, per image of ``[b, c, h, w]``."""
    squares = ((images - expected) * (-log_sigma).exp()).square()
    return (0.5 * squares + log_sigma + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)


class ConditionalVae(VarAutoEncoder):
    """MONAI's ``VarAutoEncoder`` that knows the class.

    The encoder sees the class as one constant plane each, the decoder as a one-hot vector beside the latent. The
    observation noise is one learnt number (σ-VAE, Rybkin et al. 2021, arXiv 2006.13202): it balances reconstruction
    and KL without a weight to tune. Group normalisation replaces MONAI's instance normalisation, which would remove
    the brightness of each image.
    """

    def __init__(self, spec: VaeNetworkSpec, shape: Shape, classes: int) -> None:
        super().__init__(
            spatial_dims=2,
            in_shape=(shape[0] * spec.patch**2 + classes, shape[1] // spec.patch, shape[2] // spec.patch),
            out_channels=spec.channels[0],
            latent_size=spec.latent_size,
            channels=spec.channels,
            strides=spec.strides,
            num_res_units=spec.res_units,
            norm=("group", {"num_groups": spec.norm_groups}),
            use_sigmoid=False,
        )
        self.classes, self.patch = classes, spec.patch
        self.decodeL = nn.Linear(spec.latent_size + classes, self.decodeL.out_features)
        self.to_image = nn.Conv2d(spec.channels[0], shape[0] * spec.patch**2, 3, padding=1)
        self.log_sigma = nn.Parameter(torch.tensor(math.log(SIGMA_DATA)))

    def posterior(self, images: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """``images`` ``[b, c, h, w]``, ``classes`` ``[b]`` → mean and log-variance ``[b, latent_size]``."""
        folded = functional.pixel_unshuffle(images, self.patch)
        planes = self._one_hot(classes, images)[:, :, None, None].expand(-1, -1, *folded.shape[2:])
        mean, log_variance = self.encode_forward(torch.cat([folded, planes], 1))
        return mean.float(), log_variance.float()

    def generate(self, latent: Tensor, classes: Tensor) -> Tensor:
        """``latent`` ``[b, latent_size]``, ``classes`` ``[b]`` → expected image ``[b, c, h, w]``, standardised."""
        features = self.decode_forward(torch.cat([latent, self._one_hot(classes, latent)], 1), use_sigmoid=False)
        return functional.pixel_shuffle(self.to_image(features).float(), self.patch)

    def terms(self, images: Tensor, classes: Tensor, noise: Tensor) -> Tensor:
        """Two rows ``[2, b]`` in nats per image: reconstruction (with the noise's log-density) and KL."""
        mean, log_variance = self.posterior(images, classes)
        expected = self.generate(mean + noise * (0.5 * log_variance).exp(), classes)
        return torch.stack([gaussian_nll(images, expected, self.log_sigma), kl_to_standard_normal(mean, log_variance)])

    def _one_hot(self, classes: Tensor, like: Tensor) -> Tensor:
        return functional.one_hot(classes, self.classes).to(like.dtype)


class VaeLearner:
    """The network, its average, and one Adam update on the negative evidence lower bound."""

    def __init__(self, spec: VaeSpec, network: ConditionalVae, seed: int, device: torch.device) -> None:
        self.spec, self.seed, self.device = spec, seed, device
        self.live = place(network, device)
        average = copy.deepcopy(self.live).requires_grad_(False)
        self.modules: Mapping[str, nn.Module] = {"live": self.live, "average": average}
        self.averages: Sequence[tuple[nn.Module, nn.Module]] = ((average, self.live),)
        optimiser = Adam(self.live.parameters(), lr=spec.training.learning_rate, betas=(0.9, 0.99), fused=True)
        self.optimisers: Mapping[str, Optimizer] = {"live": optimiser}
        self._terms: Callable[..., Tensor] | None = None

    def update(self, images: Tensor, classes: Tensor, step: int) -> Mapping[str, Tensor]:
        """One step on (reconstruction + β·KL) / pixels."""
        generator = step_generator(self.seed, step, self.device)
        shape = (len(images), self.spec.network.latent_size)
        noise = torch.randn(shape, generator=generator, device=self.device)
        with autocast(self.device, self.spec.training.precision):
            if self._terms is None:
                self._terms = compiled(self.live.terms, self.spec.compile, images, classes, noise)
            reconstruction, kl = self._terms(images, classes, noise).mean(1)
        pixels = images[0].numel()
        loss = (reconstruction + self.spec.beta * kl) / pixels
        descend(loss, self.live, self.optimisers["live"], self.spec.training.gradient_clip)
        return {"loss": loss.detach(), "reconstruction": reconstruction.detach() / pixels, "kl": kl.detach() / pixels}


class VaeFamily(Family):
    """The VAE behind the protocol of the trained families."""

    def __init__(self, spec: VaeSpec, pace: Pace | None = None) -> None:
        super().__init__(pace)
        self.spec: VaeSpec = spec
        self.training = spec.training

    def network(self, shape: Shape, classes: int) -> ConditionalVae:
        """The autoencoder; sides must be multiples of patch times the product of the strides."""
        multiple = self.spec.network.patch * math.prod(self.spec.network.strides)
        if shape[1] % multiple or shape[2] % multiple:
            raise UserError(
                size_message(self.spec.name, shape, multiple, "network.patch or fewer 2s in network.strides")
            )
        return ConditionalVae(self.spec.network, shape, classes)

    def learner(self, shape: Shape, classes: int, seed: int, device: torch.device) -> VaeLearner:
        """A new autoencoder and its optimiser."""
        network = seeded(lambda: self.network(shape, classes), derive_seed("vae-weights", seed))
        return VaeLearner(self.spec, network, seed, device)

    def noise_shape(self, shape: Shape) -> tuple[int, ...]:
        """The noise is a draw from the prior."""
        return (self.spec.network.latent_size,)

    def draw(self, network: nn.Module, device: torch.device) -> Draw:
        """The decoder's expected image at a draw from the prior."""
        assert isinstance(network, ConditionalVae)

        def draw(noise: Tensor, classes: Tensor) -> Tensor:
            with autocast(device, self.spec.training.precision):
                return network.generate(noise, classes)

        return draw
