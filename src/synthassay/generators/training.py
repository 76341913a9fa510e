"""The training loop that the families share. Each step is a function of the weights, the seed and the step's number."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from synthassay.errors import UserError
from synthassay.generators.checkpoint import Checkpoint, LossTable, load_checkpoint, save_checkpoint
from synthassay.generators.data import TrainingData
from synthassay.generators.specs import TrainingSpec
from synthassay.records import Progress
from synthassay.seeding import derive_seed


class Learner(Protocol):
    """One family's networks and its optimiser update."""

    modules: Mapping[str, nn.Module]  # all that a checkpoint holds, averages included
    optimisers: Mapping[str, Optimizer]
    averages: Sequence[tuple[nn.Module, nn.Module]]  # (average, module that it follows)

    def update(self, images: Tensor, classes: Tensor, step: int) -> Mapping[str, Tensor]:
        """One optimiser update on standardised ``images`` ``[b, c, h, w]`` and ``classes`` ``[b]``; scalar losses.

        Random draws come from :func:`step_generator`, never from the global state. ``step`` counts from 0.
        """


@dataclass(slots=True)
class Pace:
    """When to write a checkpoint: every ``steps`` steps, or after ``seconds``, whichever is first.

    Neither changes a result. Where writing is slow, time-driven ones keep to a twentieth of the time spent.
    """

    steps: int = 1000
    seconds: float = 60.0
    _last_step: int = 0
    _last_time: float = field(default_factory=time.monotonic)
    _cost: float = 0.0

    def due(self, step: int) -> bool:
        """Whether it is time, after ``step`` steps."""
        waited = time.monotonic() - self._last_time
        return step - self._last_step >= self.steps or waited >= max(self.seconds, 20 * self._cost)

    def wrote(self, step: int, cost: float) -> None:
        """Note that the checkpoint of ``step`` is on the disk (or was read from there), in ``cost`` seconds."""
        self._last_step, self._last_time, self._cost = step, time.monotonic(), cost


@dataclass(slots=True, kw_only=True)
class Training:
    """One training under way."""

    name: str  # of the generator, for messages
    learner: Learner
    data: TrainingData
    spec: TrainingSpec
    folder: Path
    fingerprint: str
    pace: Pace
    progress: Progress

    def run(self) -> None:
        """Train from the last checkpoint, or from the start, to the last step; the final state is a checkpoint too."""
        learner, spec = self.learner, self.spec
        found = load_checkpoint(self.folder, self.fingerprint, learner.modules, learner.optimisers)
        state = found or Checkpoint(self.fingerprint, 0, LossTable())
        self.pace.wrote(state.step, 0.0)
        self.progress.start(f"train {self.name}", spec.steps, state.step)
        window: list[Mapping[str, Tensor]] = []
        while state.step < spec.steps:
            window.append(self._step(state.step))
            state.step += 1
            self.progress.advance()
            if state.step % spec.log_every == 0 or state.step == spec.steps:
                self._close_window(window, state)
                window = []
        self.progress.finish()

    def _step(self, step: int) -> Mapping[str, Tensor]:
        spec = self.spec
        for optimiser in self.learner.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(spec, step)
        losses = self.learner.update(*self.data.batch(step, spec.batch_size), step)
        decay = ema_decay(spec, step + 1)
        for average, live in self.learner.averages:
            follow(average, live, decay)
        return losses

    def _close_window(self, window: Sequence[Mapping[str, Tensor]], state: Checkpoint) -> None:
        """Losses are read from the device, checked and logged here only, so that a GPU is not held up each step."""
        means = {
            name: torch.stack([row[name] for row in window if name in row]).double().mean().item()
            for name in dict.fromkeys(name for row in window for name in row)
        }  # fmt: skip
        if not all(math.isfinite(value) for value in means.values()):
            raise self._diverged(state.step)
        state.losses.append(state.step, means)
        self.progress.log(state.step, **means)
        if self.pace.due(state.step) or state.step == self.spec.steps:
            if not all_finite(self.learner.modules.values()):  # the update itself may have overflowed
                raise self._diverged(state.step)
            start = time.monotonic()
            save_checkpoint(self.folder, state, self.learner.modules, self.learner.optimisers)
            self.pace.wrote(state.step, time.monotonic() - start)

    def _diverged(self, step: int) -> UserError:
        rate = self.spec.learning_rate
        return UserError(
            f"{self.name}: training diverged (a loss or weight is not finite) between steps "
            f"{max(0, step - self.spec.log_every)} and {step}.\nLower training.learning_rate (now {rate:g}), raise "
            "training.warmup_steps, or set training.gradient_clip=1; the last good checkpoint is kept."
        )


def descend(loss: Tensor, module: nn.Module, optimiser: Optimizer, clip: float) -> None:
    """One optimiser step of ``module`` down ``loss``; other modules that the loss ran through get no gradient.

    ``clip`` bounds the norm of the gradient; 0 does not.
    """
    parameters = list(module.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    if clip:
        nn.utils.clip_grad_norm_(parameters, clip)
    optimiser.step()


def step_generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    """The generator of all draws of one step, on ``device``."""
    return torch.Generator(device=device).manual_seed(derive_seed("train-step", seed, step))


def learning_rate(spec: TrainingSpec, step: int) -> float:
    """The rate at ``step`` (from 0): a linear warm-up, then constant, or a cosine that reaches 0 after the last."""
    warm = min(1.0, (step + 1) / spec.warmup_steps) if spec.warmup_steps else 1.0
    if spec.schedule == "constant":
        return spec.learning_rate * warm
    return spec.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / spec.steps))


def ema_decay(spec: TrainingSpec, step: int) -> float:
    """Decay of the average at ``step`` (from 1), from a half-life in images that grows at first.

    As in EDM's code: the ramp lets a short training have an average that is not made of its first steps.
    """
    half_life = min(spec.ema_half_life, step * spec.batch_size * spec.ema_ramp)
    return float(0.5 ** (spec.batch_size / half_life))


@torch.no_grad()
def follow(average: nn.Module, live: nn.Module, decay: float) -> None:
    """``average ← decay·average + (1 − decay)·live``, for every parameter; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(live.parameters()), 1 - decay)
    for kept, current in zip(average.buffers(), live.buffers(), strict=True):
        kept.copy_(current)


@torch.no_grad()
def all_finite(modules: Iterable[nn.Module]) -> bool:
    """Whether every parameter is finite."""
    parameters = [p for module in modules for p in module.parameters()]
    return bool(torch.stack([p.isfinite().all() for p in parameters]).all())
