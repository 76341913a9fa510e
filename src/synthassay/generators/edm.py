"""EDM diffusion (Karras et al. 2022, arXiv 2206.00364) on MONAI's ``DiffusionModelUNet``."""

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from synthassay.errors import UserError
from synthassay.generators.devices import autocast, compiled, place, seeded
from synthassay.generators.diffusion.schedules import karras_sigmas
from synthassay.generators.diffusion.solvers import SOLVERS
from synthassay.generators.family import Family, Shape, size_message
from synthassay.generators.sampling import Draw
from synthassay.generators.scaling import SIGMA_DATA
from synthassay.generators.specs import EdmNoiseSpec, EdmSpec, UNetSpec
from synthassay.generators.training import Pace, descend, step_generator
from synthassay.seeding import derive_seed


def preconditioning(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """c_skip, c_out, c_in and c_noise at noise levels ``sigma`` (table 1 of the paper)."""
    total = sigma.square() + SIGMA_DATA**2
    root = total.sqrt()
    return SIGMA_DATA**2 / total, sigma * SIGMA_DATA / root, 1 / root, sigma.log() / 4


def loss_weight(sigma: Tensor) -> Tensor:
    """λ(σ) = (σ² + σ_data²) / (σ·σ_data)², so that λ·c_out² = 1: every noise level starts with the same loss."""
    return (sigma.square() + SIGMA_DATA**2) / (sigma * SIGMA_DATA).square()


def draw_sigmas(n: int, spec: EdmNoiseSpec, generator: torch.Generator) -> Tensor:
    """``[n]`` noise levels with ln σ ~ N(p_mean, p_std²), stratified.

    One level falls into each of n equally likely strata. Each level alone has the same distribution as an independent
    draw, and the mean over a small batch varies much less (as the sampler of Kingma et al. 2021, arXiv 2107.00630).
    """
    device = generator.device
    order = torch.randperm(n, generator=generator, device=device)
    uniform = (order + torch.rand(n, generator=generator, device=device, dtype=torch.float64)) / n
    normal = torch.special.ndtri(uniform.clamp(1e-9, 1 - 1e-9))
    sigma: Tensor = (normal * spec.p_std + spec.p_mean).exp().float()
    return sigma


class EdmDenoiser(nn.Module):
    """D(x; σ, class) = c_skip·x + c_out·F(c_in·x; c_noise, class), equation 7, with MONAI's U-Net as F."""

    def __init__(self, spec: UNetSpec, channels: int, classes: int) -> None:
        super().__init__()
        self.patch, self.time_scale = spec.patch, spec.time_scale
        self.unet = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=channels * spec.patch**2,
            out_channels=channels * spec.patch**2,
            num_res_blocks=spec.res_blocks,
            channels=spec.channels,
            attention_levels=spec.attention,
            norm_num_groups=spec.norm_groups,
            num_head_channels=spec.head_channels,
            num_class_embeds=classes,
        )

    def forward(self, x: Tensor, sigma: Tensor, classes: Tensor) -> Tensor:
        """``x`` ``[b, c, h, w]`` at noise levels ``sigma`` ``[b]`` → the clean image that it expects, same shape."""
        c_skip, c_out, c_in, c_noise = (c.view(-1, 1, 1, 1) for c in preconditioning(sigma))
        # MONAI embeds timesteps of 0 to 1000 with periods of 2π to 2π·10,000. ln(σ)/4 spans −1.6 to 1.1: unscaled, all
        # but the fastest sinusoids stay constant over it, the network hardly knows the noise level and draws blobs.
        time = self.time_scale * c_noise.flatten()
        folded = functional.pixel_unshuffle(c_in * x, self.patch)
        output = self.unet(folded, timesteps=time, class_labels=classes)
        # Sums in float32 whatever the autocast: at σ = 80, x is large and the image in it is small.
        return c_skip * x + c_out * functional.pixel_shuffle(output.float(), self.patch)


class EdmLearner:
    """The denoiser, its average, and one Adam update on the weighted denoising loss."""

    def __init__(self, spec: EdmSpec, network: EdmDenoiser, seed: int, device: torch.device) -> None:
        self.spec, self.seed, self.device = spec, seed, device
        self.live = place(network, device)
        average = copy.deepcopy(self.live).requires_grad_(False)
        self.modules: Mapping[str, nn.Module] = {"live": self.live, "average": average}
        self.averages: Sequence[tuple[nn.Module, nn.Module]] = ((average, self.live),)
        optimiser = Adam(self.live.parameters(), lr=spec.training.learning_rate, betas=(0.9, 0.99), fused=True)
        self.optimisers: Mapping[str, Optimizer] = {"live": optimiser}
        self._denoise: Callable[..., Tensor] | None = None

    def update(self, images: Tensor, classes: Tensor, step: int) -> Mapping[str, Tensor]:
        """One step on E[λ(σ)·|D(y + n; σ) − y|²], the mean over pixels (equation 2 with the weights of table 1)."""
        generator = step_generator(self.seed, step, self.device)
        sigma = draw_sigmas(len(images), self.spec.noise, generator)
        noise = torch.randn(images.shape, generator=generator, device=self.device)
        noisy = images + noise * sigma.view(-1, 1, 1, 1)
        with autocast(self.device, self.spec.training.precision):
            if self._denoise is None:
                self._denoise = compiled(self.live, self.spec.compile, noisy, sigma, classes)
            clean = self._denoise(noisy, sigma, classes)
        loss = (loss_weight(sigma).view(-1, 1, 1, 1) * (clean - images).square()).mean()
        descend(loss, self.live, self.optimisers["live"], self.spec.training.gradient_clip)
        return {"loss": loss.detach()}


class EdmFamily(Family):
    """EDM behind the protocol of the trained families."""

    def __init__(self, spec: EdmSpec, pace: Pace | None = None) -> None:
        super().__init__(pace)
        self.spec: EdmSpec = spec
        self.training = spec.training

    def network(self, shape: Shape, classes: int) -> EdmDenoiser:
        """The denoiser; sides must be multiples of patch·2^(levels − 1)."""
        spec = self.spec.network
        multiple = spec.patch * 2 ** (len(spec.channels) - 1)
        if shape[1] % multiple or shape[2] % multiple:
            raise UserError(size_message(self.spec.name, shape, multiple, "network.patch or fewer network.channels"))
        return EdmDenoiser(spec, shape[0], classes)

    def learner(self, shape: Shape, classes: int, seed: int, device: torch.device) -> EdmLearner:
        """A new denoiser and its optimiser."""
        network = seeded(lambda: self.network(shape, classes), derive_seed("edm-weights", seed))
        return EdmLearner(self.spec, network, seed, device)

    def noise_shape(self, shape: Shape) -> tuple[int, ...]:
        """The noise is an image."""
        return shape

    def draw(self, network: nn.Module, device: torch.device) -> Draw:
        """The solver from σ_max to 0; one σ for the whole batch."""
        spec = self.spec.sampling
        sigmas = karras_sigmas(spec.steps, spec.sigma_min, spec.sigma_max, spec.rho)

        def draw(noise: Tensor, classes: Tensor) -> Tensor:
            def denoise(x: Tensor, sigma: float) -> Tensor:
                with autocast(device, self.spec.training.precision):
                    clean: Tensor = network(x, torch.full((len(x),), sigma, device=device), classes)
                return clean

            return SOLVERS[spec.solver].run(denoise, noise * sigmas[0], sigmas)

        return draw
