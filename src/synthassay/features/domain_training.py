"""Contrastive training of the domain encoder (SimCLR: Chen et al. 2020, arXiv 2002.05709) with patients as the unit."""

import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from synthassay.errors import InsufficientEvidence, UserError
from synthassay.features.domain import FILE, DomainNetwork, Made
from synthassay.features.domain_specs import DomainSpec
from synthassay.features.views import view
from synthassay.precision import exact_float32
from synthassay.records import ImageSet, Progress
from synthassay.seeding import derive_seed, numpy_generator, torch_generator
from synthassay.specs import Resources, digest_of
from synthassay.tensorfiles import read_tensors, write_tensors

CHECKPOINT = ".checkpoint.safetensors"  # begins with a dot: the store drops it when the stage is finished
FEWEST_PATIENTS = 8
SECONDS_BETWEEN_CHECKPOINTS = 60.0
LOG_EVERY = 20  # steps averaged into one logged loss


def train_domain(spec: DomainSpec, images: ImageSet, folder: Path, resources: Resources, progress: Progress) -> None:
    """Train on ``images`` and write the encoder to ``folder``; goes on from the checkpoint of a killed training.

    A batch holds one image of each of ``batch_size`` different patients, so a negative is always of another patient.
    Raises :class:`~synthassay.errors.InsufficientEvidence` below eight patients and
    :class:`~synthassay.errors.UserError` when the loss stops being finite.
    """
    patients = np.unique(images.patients)
    if len(patients) < FEWEST_PATIENTS:
        raise InsufficientEvidence(
            f"encoder=domain learns to tell patients apart, and generator-train has {len(patients)}; "
            f"it needs at least {FEWEST_PATIENTS}.\nUse another encoder, or give more patients."
        )
    _, channels, height, width = images.pixels.shape
    made = Made(
        trained_on=images.content_id, settings=digest_of(spec.to_key())[:16], seed=spec.seed,
        network_width=spec.width, channels=channels, height=height, width=width,
    )  # fmt: skip
    device = resources.torch_device()
    with exact_float32(device):
        training = Training(spec, images, made, torch.device(device))
        training.run(folder / CHECKPOINT, progress)
    write_tensors(folder / FILE, training.encoder.state_dict(), asdict(made))


@dataclass(slots=True)
class Training:
    """One training under way. Every step is a function of the weights, the seed and the step's number."""

    spec: DomainSpec
    images: ImageSet
    made: Made
    device: torch.device
    encoder: DomainNetwork = field(init=False)
    head: nn.Module = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    _rows: list[NDArray[np.int64]] = field(init=False)  # of each patient

    def __post_init__(self) -> None:
        spec, size = self.spec, (self.made.height, self.made.width)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed("domain", "weights", spec.seed))
            self.encoder = DomainNetwork(self.made.channels, spec.width, size).to(self.device)
            features = 8 * spec.width
            layers = nn.Linear(features, features), nn.ReLU(inplace=True), nn.Linear(features, spec.projection)
            self.head = nn.Sequential(*layers).to(self.device)
        parameters = [*self.encoder.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.AdamW(parameters, lr=spec.learning_rate, weight_decay=spec.weight_decay)
        _, first, index = np.unique(self.images.patients, return_index=True, return_inverse=True)
        rows = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
        # By first appearance, not by pseudonym: another key must not change the batches.
        self._rows = [rows[patient] for patient in np.argsort(first)]

    def run(self, checkpoint: Path, progress: Progress) -> None:
        """Train from the checkpoint, or from the start, to the last step."""
        step, written = self._restore(checkpoint), time.monotonic()
        progress.start("train domain encoder", self.spec.steps, step)
        window: list[Tensor] = []
        while step < self.spec.steps:
            window.append(self._update(step))
            step += 1
            progress.advance()
            if step % LOG_EVERY == 0 or step == self.spec.steps:
                loss = float(torch.stack(window).double().mean())
                if not math.isfinite(loss):
                    raise UserError(f"the training of encoder=domain diverged at step {step}; "
                                    f"lower encoder.learning_rate (now {self.spec.learning_rate:g})")  # fmt: skip
                progress.log(step, loss=loss)
                window = []
                if time.monotonic() - written >= SECONDS_BETWEEN_CHECKPOINTS:
                    self._save(checkpoint, step)
                    written = time.monotonic()
        progress.finish()

    def _update(self, step: int) -> Tensor:
        """One optimiser step on one batch; returns the loss, still on the device."""
        spec = self.spec
        warm = min(1.0, (step + 1) / spec.warmup_steps) if spec.warmup_steps else 1.0
        for group in self.optimiser.param_groups:
            group["lr"] = spec.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / spec.steps))
        generator = torch_generator("domain", "views", spec.seed, step)
        pair = [view(self._pixels(rows), spec.views, generator) for rows in self.batch(step)]
        loss = contrastive_loss(self.head(self.encoder(torch.cat(pair))), spec.temperature)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return loss.detach()

    def batch(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Images of the first and of the second views: row i of both is of one patient, other rows of others."""
        draw = numpy_generator("domain", "batch", self.spec.seed, step)
        chosen = draw.choice(len(self._rows), min(self.spec.batch_size, len(self._rows)), replace=False)
        first, second = (np.array([draw.choice(self._rows[patient]) for patient in chosen]) for _ in range(2))
        return first, first if self.spec.positives == "image" else second

    def _pixels(self, rows: NDArray[np.int64]) -> Tensor:
        block = self.images.pixels[rows].astype(np.float32) / np.float32(self.images.pixel_max)
        return torch.from_numpy(block).to(self.device)

    def _save(self, path: Path, step: int) -> None:
        tensors = {f"encoder/{name}": value for name, value in self.encoder.state_dict().items()}
        tensors |= {f"head/{name}": value for name, value in self.head.state_dict().items()}
        for index, slots in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{index}/{slot}": value for slot, value in slots.items()}
        write_tensors(path, tensors, {"made": asdict(self.made), "step": step})

    def _restore(self, path: Path) -> int:
        """The step of the checkpoint, after taking its state over; 0 when there is none of this very training."""
        if not path.is_file():
            return 0
        tensors, facts = read_tensors(path)
        if facts["made"] != asdict(self.made):
            return 0
        self.encoder.load_state_dict(_below(tensors, "encoder/"))
        self.head.load_state_dict(_below(tensors, "head/"))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(tensors, "optimiser/").items():
            index, slot = name.split("/")
            state.setdefault(int(index), {})[slot] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        return int(facts["step"])


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def contrastive_loss(projections: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al. 2020, equation 1) of ``[2b, d]``, where row i and row b + i are a pair; a mean over rows."""
    units = F.normalize(projections, dim=1)
    similarities = units @ units.T / temperature
    similarities.fill_diagonal_(-torch.inf)
    partners = torch.arange(len(units), device=units.device).roll(len(units) // 2)
    return F.cross_entropy(similarities, partners)
