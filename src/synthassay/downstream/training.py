"""The training loop of one classifier: the same for every arm, resumable to the bit on a CPU."""

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synthassay.downstream.augmentation import augment
from synthassay.downstream.batches import BatchPlan, batch_plan
from synthassay.downstream.networks import memory_layout, seeded_network
from synthassay.downstream.specs import DownstreamSpec
from synthassay.errors import InsufficientEvidence, UserError
from synthassay.metrics.classification import auroc
from synthassay.records import ImageSet, Progress
from synthassay.seeding import derive_seed, torch_generator
from synthassay.specs import Resources
from synthassay.tensorfiles import read_tensors, write_tensors

SCORE_BATCH = 256  # images scored at once; fixed, so that scores do not depend on where a run was resumed
LOG_EVERY = 25  # steps; reading the loss waits for a GPU


@dataclass(frozen=True)
class Intensity:
    """Mean and deviation of each channel of generator-train, on the scale [0, 1]; every arm is standardised by them."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, images: ImageSet) -> Self:
        """Moments of ``images`` in float64, read in blocks."""
        channels = images.pixels.shape[1]
        total, squares, count = np.zeros(channels), np.zeros(channels), 0
        axes = (0, *range(2, images.pixels.ndim))
        for start in range(0, len(images), 256):
            block = images.pixels[start : start + 256].astype(np.float64) / images.pixel_max
            total += block.sum(axes)
            squares += (block**2).sum(axes)
            count += block.size // channels
        mean = total / max(count, 1)
        deviation = np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 1e-8))
        return cls(tuple(mean.tolist()), tuple(deviation.tolist()))


@dataclass(frozen=True, kw_only=True)
class Task:
    """One training. ``key`` names everything the scores depend on; ``sources`` are labelled images, real first."""

    key: str
    sources: tuple[ImageSet, ...]
    positive: int
    prevalence: float
    intensity: Intensity
    steps: int
    seed: int
    title: str


def train_classifier(
    task: Task,
    held_out: Mapping[str, ImageSet],
    spec: DownstreamSpec,
    folder: Path,
    resources: Resources,
    progress: Progress,
) -> dict[str, NDArray[np.float32]]:
    """Scores ``[n]`` in [0, 1] of each held-out set, from ``folder`` if they are there, else by training.

    ``held_out`` must hold ``"validation"``. On a CPU the scores are equal bit for bit for equal ``task``, ``spec`` and
    number of threads, also when the training was killed and started again.
    """
    finished = _found(folder / "scores.safetensors", task.key)
    if finished is None:
        folder.mkdir(parents=True, exist_ok=True)
        with _threads(resources.threads):
            training = _Training(task, spec, folder, torch.device(resources.torch_device()))
            training.run(held_out["validation"], progress)
            scores = {name: torch.from_numpy(training.score(images)) for name, images in held_out.items()}
        write_tensors(folder / "scores.safetensors", scores, {"key": task.key, "title": task.title})
        (folder / "state.safetensors").unlink(missing_ok=True)
        finished = scores, {}
    return {name: finished[0][name].numpy() for name in held_out}


def learning_rate(step: int, steps: int, spec: DownstreamSpec) -> float:
    """One cycle (Smith 2018): a cosine up from 1/25 of the peak during ``spec.warmup``, then a cosine down to zero."""
    rise = spec.warmup * steps
    if step < rise:
        return spec.learning_rate * (0.04 + 0.96 * (1 - math.cos(math.pi * step / rise)) / 2)
    return spec.learning_rate * (1 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise))) / 2


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Training:
    """A network, its optimiser and its place in the plan; all of it can be written to and read from one file."""

    def __init__(self, task: Task, spec: DownstreamSpec, folder: Path, device: torch.device) -> None:
        self.task, self.spec, self.folder, self.device = task, spec, folder, device
        self.layout = memory_layout(spec.network, device)
        shape = task.sources[0].pixels.shape[1:]
        net = seeded_network(spec.network, shape, derive_seed("downstream", "weights", task.seed))
        self.net: nn.Module = net.to(device, memory_format=self.layout)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=True
        )
        self.step = 0
        self.best: dict[str, Tensor] = {}
        self.best_auroc = -1.0

    # --- training ---

    def run(self, validation: ImageSet, progress: Progress) -> None:
        """Train from the last saved state to the last step, and leave the chosen weights in ``net``."""
        if self.spec.checkpoint == "best" and len(set((validation.labels == self.task.positive).tolist())) < 2:
            raise InsufficientEvidence(
                "downstream.checkpoint=best compares checkpoints on validation, which does not hold both classes; "
                "use downstream.checkpoint=last or a larger share of validation patients"
            )
        self._resume()
        pixels = torch.cat([_tensor(source) for source in self.task.sources]).to(self.device)
        plan = self._plan()
        progress.start(self.task.title, self.task.steps, self.step)
        while self.step < self.task.steps:
            loss = self._update(pixels, plan)
            if self.step % LOG_EVERY == 0:
                progress.log(self.step, loss=float(loss))
            if self.spec.checkpoint == "best" and self._looks_now():
                self._compare(validation)
            if self.step % self.spec.save_every == 0 and self.step < self.task.steps:
                self._save()
            progress.advance()
        if self.best:
            self.net.load_state_dict(self.best)
        progress.finish()

    def _plan(self) -> BatchPlan:
        pools, first = [], 0
        for source in self.task.sources:
            truth = source.labels == self.task.positive
            pools.append((first + np.flatnonzero(~truth), first + np.flatnonzero(truth)))
            first += len(source)
        share = self.spec.real_share
        source_shares = (1.0,) if len(pools) == 1 else (share, 1 - share)
        return batch_plan(pools, source_shares, self.task.prevalence, self.spec.batch_size, self.task.seed)

    def _update(self, pixels: Tensor, plan: BatchPlan) -> Tensor:
        rows, labels = plan.batch(self.step)
        chosen = self._standardised(pixels[torch.from_numpy(rows).to(self.device)])
        generator = torch_generator("downstream", "augmentation", self.task.seed, self.step)
        images = augment(chosen, self.spec.augmentation, generator).contiguous(memory_format=self.layout)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.task.steps, self.spec)
        self.net.train()
        with self._precision():
            logits = self.net(images)[:, 0].float()
        loss = nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels).to(self.device))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.step += 1
        return loss.detach()

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")

    def _standardised(self, pixels: Tensor) -> Tensor:
        moments = self.task.intensity
        mean = torch.tensor(moments.mean, device=self.device)[:, None, None]
        deviation = torch.tensor(moments.deviation, device=self.device)[:, None, None]
        return (pixels.float() / self.task.sources[0].pixel_max - mean) / deviation

    # --- scoring ---

    @torch.inference_mode()
    def score(self, images: ImageSet) -> NDArray[np.float32]:
        """Probability of the finding for each image, ``[n]``."""
        self.net.eval()
        logits = []
        for start in range(0, len(images), SCORE_BATCH):
            block = _tensor(images.take(np.arange(start, min(start + SCORE_BATCH, len(images))))).to(self.device)
            batch = self._standardised(block).contiguous(memory_format=self.layout)
            with self._precision():
                logits.append(self.net(batch)[:, 0].double())
        return torch.cat(logits).sigmoid().float().cpu().numpy() if logits else np.zeros(0, np.float32)

    def _looks_now(self) -> bool:
        return self.step % self.spec.evaluate_every == 0 or self.step == self.task.steps

    def _compare(self, validation: ImageSet) -> None:
        value = auroc(self.score(validation), (validation.labels == self.task.positive).astype(np.int64))
        if value > self.best_auroc:
            self.best_auroc = value
            self.best = {name: tensor.detach().clone() for name, tensor in self.net.state_dict().items()}

    # --- state ---

    def _save(self) -> None:
        tensors = {f"net/{name}": tensor for name, tensor in self.net.state_dict().items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{index}/{name}": value for name, value in moments.items()}
        facts = {"key": self.task.key, "step": self.step, "best_auroc": self.best_auroc}
        write_tensors(self.folder / "state.safetensors", tensors, facts)

    def _resume(self) -> None:
        saved = _found(self.folder / "state.safetensors", self.task.key)
        if saved is None:
            return
        tensors, facts = saved
        self.net.load_state_dict(_under(tensors, "net/"))
        self.best, self.best_auroc = _under(tensors, "best/"), float(facts["best_auroc"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(tensors, "optimiser/").items():
            index, field = name.split("/")
            moments.setdefault(int(index), {})[field] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.step = int(facts["step"])


def _found(path: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The tensors and facts of ``path``; None if it is absent, damaged, or was written under another ``key``."""
    try:
        tensors, facts = read_tensors(path)
    except (FileNotFoundError, UserError):
        return None
    return (tensors, facts) if facts.get("key") == key else None


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _tensor(images: ImageSet) -> Tensor:
    """Pixels as they are; torch cannot index uint16, so 16 bits become int32."""
    pixels = np.array(images.pixels)  # a copy: a memory map is read-only
    return torch.from_numpy(pixels if pixels.dtype == np.uint8 else pixels.astype(np.int32))
