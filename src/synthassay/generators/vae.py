"""A conditional variational autoencoder on MONAI's ``VarAutoEncoder``.

Its latent is one vector with prior N(0, I), which the KL term pulls the posteriors to, so a draw from the prior is a
valid start for the decoder. (``AutoencoderKL`` has a spatial latent whose tiny KL weight leaves the prior unlike the
latents; it needs a second generator on top.)
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from monai.networks.layers.factories import Conv
from monai.networks.nets.varautoencoder import VarAutoEncoder
from torch import Tensor, nn
from torch.optim import Optimizer

from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.conditioning.embedding import Embedder
from synthassay.generators.devices import autocast, compiled, place, seeded, wants_compiling
from synthassay.generators.family import Family, Loaded, Shape, check_sides
from synthassay.generators.networks.folding import fold, unfold
from synthassay.generators.networks.gaussians import gaussian_nll, kl_to_standard_normal
from synthassay.generators.sampling import Draw, Noise
from synthassay.generators.specs import VaeNetworkSpec, VaeSpec
from synthassay.generators.training.learner import Average, Draws, Learner, Losses, Phase, adamw, followed, kept
from synthassay.generators.training.loop import Pace
from synthassay.generators.training.scaling import SIGMA_DATA
from synthassay.seeding import derive_seed


class ConditionalVae(VarAutoEncoder):
    """MONAI's ``VarAutoEncoder`` that knows the condition.

    The encoder sees the condition's embedding as constant planes, the decoder beside the latent; masks are planes for
    both, for the decoder at its end. The observation noise is one learnt number (σ-VAE, Rybkin et al. 2021, arXiv
    2006.13202): it balances reconstruction and KL without a weight to tune. Group normalisation replaces MONAI's
    instance normalisation, which would remove the brightness of each image.
    """

    def __init__(self, spec: VaeNetworkSpec, shape: Shape, vocabulary: Vocabulary) -> None:
        dims, width = len(shape) - 1, spec.embedding_size
        cells = spec.patch**dims
        super().__init__(
            spatial_dims=dims,
            in_shape=((shape[0] + vocabulary.planes) * cells + width, *(side // spec.patch for side in shape[1:])),
            out_channels=spec.channels[0],
            latent_size=spec.latent_size,
            channels=spec.channels,
            strides=spec.strides,
            num_res_units=spec.res_units,
            norm=("group", {"num_groups": spec.norm_groups}),
            use_sigmoid=False,
        )
        self.patch = spec.patch
        self.embedder = Embedder(vocabulary.sizes, len(vocabulary.measured), width)
        self.decodeL = nn.Linear(spec.latent_size + width, self.decodeL.out_features)
        conv = Conv[Conv.CONV, dims]
        self.to_image = conv(spec.channels[0], shape[0] * cells, 3, padding=1)
        self.see_mask = conv(vocabulary.planes * cells, spec.channels[0], 3, padding=1) if vocabulary.planes else None
        self.log_sigma = nn.Parameter(torch.tensor(math.log(SIGMA_DATA)))

    def posterior(self, images: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        """``images`` ``[b, c, *s]`` → mean and log-variance ``[b, latent_size]``."""
        folded = fold(torch.cat([images, condition.masks], 1) if self.see_mask is not None else images, self.patch)
        planes = self._vector(condition).view(len(images), -1, *[1] * (images.ndim - 2))
        seen = torch.cat([folded, planes.expand(-1, -1, *folded.shape[2:])], 1)
        mean, log_variance = self.encode_forward(seen)
        return mean.float(), log_variance.float()

    def generate(self, latent: Tensor, condition: Condition) -> Tensor:
        """``latent`` ``[b, latent_size]`` → expected image ``[b, c, *s]``, standardised."""
        features = self.decode_forward(torch.cat([latent, self._vector(condition)], 1), use_sigmoid=False)
        if self.see_mask is not None:
            features = nn.functional.silu(features + self.see_mask(fold(condition.masks, self.patch)))
        return unfold(self.to_image(features).float(), self.patch)

    def terms(self, images: Tensor, condition: Condition, noise: Tensor) -> Tensor:
        """Two rows ``[2, b]`` in nats per image: reconstruction (with the noise's log-density) and KL."""
        mean, log_variance = self.posterior(images, condition)
        expected = self.generate(mean + noise * (0.5 * log_variance).exp(), condition)
        return torch.stack([gaussian_nll(images, expected, self.log_sigma), kl_to_standard_normal(mean, log_variance)])

    def _vector(self, condition: Condition) -> Tensor:
        vector: Tensor = self.embedder(condition.codes, condition.values)
        return vector


class VaeLearner(Learner):
    """The network, its average, and the negative evidence lower bound."""

    def __init__(self, spec: VaeSpec, network: ConditionalVae, device: torch.device) -> None:
        self.spec = spec
        self.live = place(network, device)
        self.averages: Sequence[Average] = followed(self.live, spec.training)
        self.modules: Mapping[str, nn.Module] = {"live": self.live, **kept(self.averages)}
        self.optimisers: Mapping[str, Optimizer] = {"live": adamw(self.live, spec.training)}
        self._terms: Callable[..., Tensor] | None = None

    def phases(self, step: int) -> Sequence[Phase]:
        """One update."""
        return (Phase("live", self._draws, self._loss),)

    def _draws(self, n: int, generator: torch.Generator) -> Draws:
        return (torch.randn((n, self.spec.network.latent_size), generator=generator, device=generator.device),)

    def _loss(self, images: Tensor, condition: Condition, noise: Tensor) -> Losses:
        """(reconstruction + β·KL) / pixels."""
        if self._terms is None:
            wanted = wants_compiling(self.spec.compile, images.device, self.spec.training.steps)
            self._terms = compiled(self.live.terms, wanted, self.live.parameters(), images, condition, noise)
        reconstruction, kl = self._terms(images, condition, noise).mean(1) / images[0].numel()
        loss = reconstruction + self.spec.beta * kl
        return Losses(loss, {"loss": loss, "reconstruction": reconstruction, "kl": kl})


class VaeFamily(Family):
    """The VAE behind the protocol of the trained families."""

    one_network = True

    def __init__(self, spec: VaeSpec, pace: Pace | None = None) -> None:
        super().__init__(pace)
        self.spec: VaeSpec = spec
        self.training = spec.training

    def network(self, shape: Shape, vocabulary: Vocabulary) -> ConditionalVae:
        """The autoencoder; sides must be multiples of patch times the product of the strides."""
        multiple = self.spec.network.patch * math.prod(self.spec.network.strides)
        check_sides(self.spec.name, shape, multiple, "network.patch or fewer 2s in network.strides")
        return ConditionalVae(self.spec.network, shape, vocabulary)

    def learner(self, shape: Shape, vocabulary: Vocabulary, seed: int, device: torch.device) -> VaeLearner:
        """A new autoencoder and its optimiser."""
        network = seeded(lambda: self.network(shape, vocabulary), derive_seed("vae-weights", seed))
        return VaeLearner(self.spec, network, device)

    def noise_shape(self, shape: Shape) -> tuple[int, ...]:
        """The noise is a draw from the prior."""
        return (self.spec.network.latent_size,)

    def draw(self, loaded: Loaded) -> Draw:
        """The decoder's expected image at a draw from the prior."""
        network = loaded.network
        assert isinstance(network, ConditionalVae)

        def draw(noise: Noise, condition: Condition) -> Tensor:
            with autocast(loaded.device, self.spec.training.precision):
                return network.generate(noise(0), condition)

        return draw
