"""What EDM, DDPM and flow share: one network, one learner, one way of sampling."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.devices import autocast, compiled, place, seeded, wants_compiling
from synthassay.generators.diffusion.family_specs import DiffusionSpec
from synthassay.generators.diffusion.objectives import Objective
from synthassay.generators.diffusion.sampling import draw as solve
from synthassay.generators.diffusion.sampling import noise_levels
from synthassay.generators.diffusion.solvers import Denoiser
from synthassay.generators.family import Family, Loaded, Shape, check_sides
from synthassay.generators.networks.edm2 import Edm2UNet
from synthassay.generators.networks.magnitudes import UnitConv, enforce
from synthassay.generators.networks.specs import MagnitudePreservingSpec
from synthassay.generators.networks.unet import UNet
from synthassay.generators.sampling import Draw, Noise
from synthassay.generators.training.averages import WIDTHS, Profile, reconstruction_weights, weighted_sum
from synthassay.generators.training.checkpoint import MODEL
from synthassay.generators.training.learner import Average, Draws, Learner, Losses, Phase, adamw, followed, kept
from synthassay.generators.training.loop import Pace, snapshot_name
from synthassay.seeding import derive_seed
from synthassay.tensorfiles import read_tensors


class DiffusionLearner(Learner):
    """The network in its objective, and its average."""

    def __init__(self, spec: DiffusionSpec, objective: Objective, shape: Shape, device: torch.device) -> None:
        self.spec, self.shape = spec, shape
        self.live = place(objective, device)
        self.averages: Sequence[Average] = followed(self.live, spec.training)
        self.modules: Mapping[str, nn.Module] = {"live": self.live, **kept(self.averages)}
        optimiser = adamw(self.live, spec.training)
        if any(isinstance(part, UnitConv) for part in self.live.modules()):
            optimiser.register_step_post_hook(lambda *_: enforce(self.live))
        self.optimisers: Mapping[str, Optimizer] = {"live": optimiser}
        self._losses: Callable[..., Tensor] | None = None

    def phases(self, step: int) -> Sequence[Phase]:
        """One update."""
        return (Phase("live", self._draws, self._loss),)

    def _draws(self, n: int, generator: torch.Generator) -> Draws:
        levels = self.live.levels(n, generator)
        return levels, torch.randn((n, *self.shape), generator=generator, device=generator.device)

    def _loss(self, images: Tensor, condition: Condition, levels: Tensor, noise: Tensor) -> Losses:
        if self._losses is None:
            wanted = wants_compiling(self.spec.compile, images.device, self.spec.training.steps)
            weights = self.live.parameters()
            self._losses = compiled(self.live.losses, wanted, weights, images, condition, levels, noise)
        loss = self._losses(images, condition, levels, noise).mean()
        return Losses(loss, {"loss": loss})


class DiffusionFamily(Family):
    """Base of the families that denoise."""

    spec: DiffusionSpec
    one_network = True

    def __init__(self, spec: DiffusionSpec, pace: Pace | None = None) -> None:
        super().__init__(pace)
        self.spec = spec
        self.training = spec.training

    @abstractmethod
    def objective(self, network: nn.Module) -> Objective:
        """How ``network`` is trained and asked."""

    def network(self, shape: Shape, vocabulary: Vocabulary) -> Objective:
        """The network in its objective; sides must be multiples of patch·2^(levels − 1)."""
        spec = self.spec.network
        check_sides(self.spec.name, shape, spec.multiple, "network.patch or fewer network.channels")
        if isinstance(spec, MagnitudePreservingSpec):
            return self.objective(Edm2UNet(spec, shape[0], len(shape) - 1, vocabulary))
        return self.objective(UNet(spec, shape[0], len(shape) - 1, vocabulary))

    def learner(self, shape: Shape, vocabulary: Vocabulary, seed: int, device: torch.device) -> DiffusionLearner:
        """A new network and its optimiser."""
        weights = derive_seed(f"{self.kind}-weights", seed)
        return DiffusionLearner(self.spec, seeded(lambda: self.network(shape, vocabulary), weights), shape, device)

    def weights(self, workdir: Path, snapshots: Sequence[int], step: int) -> dict[str, Tensor]:
        """The first average, or with ``ema_width`` the average of that width, fitted to all that were kept."""
        if self.spec.ema_width is None:
            return super().weights(workdir, snapshots, step)
        found = [(Profile(s, w), k, s) for s in snapshots if s <= step for k, w in enumerate(WIDTHS)]
        shares = reconstruction_weights([profile for profile, _, _ in found], Profile(step, self.spec.ema_width))

        def state(k: int, at: int) -> dict[str, Tensor]:
            return read_tensors(workdir / (MODEL if k == 0 and at == snapshots[-1] else snapshot_name(at, k)))[0]

        return weighted_sum(shares, (state(k, at) for _, k, at in found))

    def choosable(self, snapshots: tuple[int, ...]) -> tuple[int, ...]:
        """All but the one that guides, which cannot guide itself."""
        return snapshots[1:] if self.spec.sampling.guidance.by_a_weaker_model and len(snapshots) > 1 else snapshots

    def noise_shape(self, shape: Shape) -> tuple[int, ...]:
        """The noise is an image."""
        return shape

    def draw(self, loaded: Loaded) -> Draw:
        """The solver from the highest level of noise to 0; one σ for the whole batch."""
        spec, network = self.spec.sampling, loaded.network
        assert isinstance(network, Objective)
        weaker = self._weaker(loaded) if spec.guidance.by_a_weaker_model else network

        def view(network: nn.Module, condition: Condition) -> Denoiser:
            def denoise(x: Tensor, sigma: float) -> Tensor:
                with autocast(loaded.device, self.spec.training.precision):
                    clean: Tensor = network(x, torch.full((len(x),), sigma, device=loaded.device), condition)
                return loaded.standardiser.clipped(clean) if spec.clip else clean

            return denoise

        def draw(noise: Noise, condition: Condition) -> Tensor:
            weak = view(weaker, condition if spec.guidance.kind == "weaker" else condition.nothing())
            start = noise(0)
            sigmas = noise_levels(spec, start.shape[2:], network.alpha_bars)
            return solve(spec, view(network, condition), start, sigmas, lambda step: noise(1 + step), weak)

        return draw

    def _weaker(self, loaded: Loaded) -> nn.Module:
        """The first snapshot, which has learnt less (one of the two ways of Karras et al. 2024, arXiv 2406.02507)."""
        first = loaded.snapshots[0]
        if first >= loaded.step:
            raise UserError(f"{self.spec.name}: sampling.guidance.kind=weaker needs an earlier state of the training "
                            f"than that after step {loaded.step}.\n"
                            "Keep training.snapshots of at least 2 and sample a later one, or use cfg.")  # fmt: skip
        return loaded.at(first)
