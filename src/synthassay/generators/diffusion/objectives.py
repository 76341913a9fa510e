"""What a diffusion network learns: EDM, DDPM and rectified flow, each a denoiser of x = clean + σ·noise.

With one view of all three, every solver and every guidance works for each of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from synthassay.generators.conditioning.condition import Condition
from synthassay.generators.diffusion.family_specs import DdpmNoiseSpec, EdmNoiseSpec, FlowNoiseSpec
from synthassay.generators.diffusion.schedules import ALPHA_BARS, sigma_of
from synthassay.generators.networks.uncertainty import Uncertainty, balanced
from synthassay.generators.training.scaling import SIGMA_DATA


class Objective(nn.Module, ABC):
    """A network with the way in which it is trained and asked. Images are standardised: deviation 0.5."""

    alpha_bars: Sequence[float] | None = None  # of the timesteps, where the objective has any

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @abstractmethod
    def forward(self, x: Tensor, sigma: Tensor, condition: Condition) -> Tensor:
        """``x`` ``[b, c, *s]`` = clean + σ·noise at levels ``sigma`` ``[b]`` → the clean image that is expected."""

    @abstractmethod
    def levels(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n]`` levels of noise to train at, in the objective's own measure."""

    @abstractmethod
    def losses(self, images: Tensor, condition: Condition, levels: Tensor, noise: Tensor) -> Tensor:
        """``[b]``: the loss of each image, the mean over its pixels."""


def stratified(n: int, generator: torch.Generator) -> Tensor:
    """``[n]`` float64 in (0, 1), one in each of n equal strata, in random order.

    Each alone is uniform, and the mean over a small batch varies much less than that of independent draws (as the
    sampler of Kingma et al. 2021, arXiv 2107.00630).
    """
    device = generator.device
    order = torch.randperm(n, generator=generator, device=device)
    uniform: Tensor = (order + torch.rand(n, generator=generator, device=device, dtype=torch.float64)) / n
    return uniform.clamp(1e-9, 1 - 1e-9)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))


def _mean_square(error: Tensor) -> Tensor:
    return error.float().square().flatten(1).mean(1)


def preconditioning(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """c_skip, c_out, c_in and c_noise at noise levels ``sigma`` (Karras et al. 2022, table 1)."""
    total = sigma.square() + SIGMA_DATA**2
    root = total.sqrt()
    return SIGMA_DATA**2 / total, sigma * SIGMA_DATA / root, 1 / root, sigma.log() / 4


def loss_weight(sigma: Tensor) -> Tensor:
    """λ(σ) = (σ² + σ_data²) / (σ·σ_data)², so that λ·c_out² = 1: every noise level starts with the same loss."""
    return (sigma.square() + SIGMA_DATA**2) / (sigma * SIGMA_DATA).square()


class Edm(Objective):
    """D(x; σ) = c_skip·x + c_out·F(c_in·x; c_noise) (Karras et al. 2022, arXiv 2206.00364, equation 7)."""

    def __init__(self, network: nn.Module, noise: EdmNoiseSpec) -> None:
        super().__init__(network)
        self.noise = noise
        self.uncertainty = Uncertainty() if noise.weighting == "learnt" else None

    def forward(self, x: Tensor, sigma: Tensor, condition: Condition) -> Tensor:
        """See :meth:`Objective.forward`. Sums are float32 whatever the autocast: at σ = 80 the image in x is small."""
        c_skip, c_out, c_in, c_noise = preconditioning(sigma)
        output: Tensor = self.network(_column(c_in, x) * x, c_noise, condition)
        return _column(c_skip, x) * x + _column(c_out, x) * output.float()

    def levels(self, n: int, generator: torch.Generator) -> Tensor:
        """ln σ ~ N(p_mean, p_std²) (table 1), stratified."""
        normal = torch.special.ndtri(stratified(n, generator))
        sigma: Tensor = (normal * self.noise.p_std + self.noise.p_mean).exp().float()
        return sigma

    def losses(self, images: Tensor, condition: Condition, levels: Tensor, noise: Tensor) -> Tensor:
        """λ(σ)·|D(y + σn; σ) − y|² (equation 2 with the weights of table 1), or the same balanced by a learnt u(σ)."""
        clean = self(images + noise * _column(levels, images), levels, condition)
        losses = loss_weight(levels) * _mean_square(clean - images)
        return losses if self.uncertainty is None else balanced(losses, self.uncertainty(levels.log() / 4))


class Ddpm(Objective):
    """The variance-preserving process (Ho et al. 2020, arXiv 2006.11239): x_t = α·y + s·ε with α² = ᾱ = 1 − s².

    The network predicts ε (equation 14 of the paper) or v = α·ε − s·y (Salimans and Ho 2022, arXiv 2202.00512), which
    says something about the image at every level of noise and needs far fewer steps of training.
    """

    log_sigmas: Tensor

    def __init__(self, network: nn.Module, noise: DdpmNoiseSpec) -> None:
        super().__init__(network)
        self.velocity = noise.prediction == "v"
        self.alpha_bars = ALPHA_BARS[noise.schedule](noise.timesteps)
        levels = torch.tensor([sigma_of(bar) for bar in self.alpha_bars], dtype=torch.float64)
        self.register_buffer("log_sigmas", levels.log().float())  # rising, one a timestep

    def forward(self, x: Tensor, sigma: Tensor, condition: Condition) -> Tensor:
        """x/√(1 + σ²) is the process's state x_t, and the clean image x − σ·ε, or α·x_t − s·v.

        Between two timesteps the network is asked at a fractional one, by linear interpolation in ln σ.
        """
        alpha, s = _signal_and_noise(_column(sigma, x))
        output: Tensor = self.network(alpha * x, self.timestep(sigma), condition).float()
        return alpha**2 * x - s * output if self.velocity else x - _column(sigma, x) * output

    def timestep(self, sigma: Tensor) -> Tensor:
        """Where ``sigma`` ``[b]`` lies among the T levels, from 0 to 1."""
        levels, wanted = self.log_sigmas, sigma.log().contiguous()
        upper = torch.searchsorted(levels, wanted).clamp(1, len(levels) - 1)
        below, above = levels[upper - 1], levels[upper]
        share = ((wanted - below) / (above - below)).clamp(0.0, 1.0)
        return (upper - 1 + share) / len(levels)

    def levels(self, n: int, generator: torch.Generator) -> Tensor:
        """Timesteps, each equally likely, stratified."""
        return (stratified(n, generator) * len(self.log_sigmas)).long()

    def losses(self, images: Tensor, condition: Condition, levels: Tensor, noise: Tensor) -> Tensor:
        """|ε − ε_θ(x_t, t)|², the simple loss, or the same of v."""
        alpha, s = _signal_and_noise(_column(self.log_sigmas[levels].exp(), images))
        target = alpha * noise - s * images if self.velocity else noise
        output = self.network(alpha * images + s * noise, levels / len(self.log_sigmas), condition)
        return _mean_square(output - target)


def _signal_and_noise(sigma: Tensor) -> tuple[Tensor, Tensor]:
    """α and s of the variance-preserving process at σ = s/α."""
    root = (1 + sigma.square()).sqrt()
    return 1 / root, sigma / root


class Flow(Objective):
    """Velocity of the straight way from data to noise (Liu et al. 2022, arXiv 2209.03003): x_t = (1 − t)·y + t·ε."""

    def __init__(self, network: nn.Module, noise: FlowNoiseSpec) -> None:
        super().__init__(network)
        self.noise = noise

    def forward(self, x: Tensor, sigma: Tensor, condition: Condition) -> Tensor:
        """At t = σ/(1 + σ) the way is at x/(1 + σ), and the clean image lies at x_t − t·v."""
        t = sigma / (1 + sigma)
        state = x / _column(1 + sigma, x)
        velocity: Tensor = self.network(state, t, condition)
        return state - _column(t, x) * velocity.float()

    def levels(self, n: int, generator: torch.Generator) -> Tensor:
        """Times t in (0, 1), stratified: logit-normal (Esser et al. 2024, arXiv 2403.03206, equation 19) or uniform."""
        uniform = stratified(n, generator)
        if self.noise.times == "logit-normal":
            uniform = (torch.special.ndtri(uniform) * self.noise.std + self.noise.mean).sigmoid()
        return uniform.float()

    def losses(self, images: Tensor, condition: Condition, levels: Tensor, noise: Tensor) -> Tensor:
        """|v_θ(x_t, t) − (ε − y)|²."""
        t = _column(levels, images)
        velocity = self.network((1 - t) * images + t * noise, levels, condition)
        return _mean_square(velocity - (noise - images))
