"""The training loop that the families share. Each step is a function of the weights, the seed and the step's number."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Condition
from synthassay.generators.devices import autocast, tuned
from synthassay.generators.specs import TrainingSpec
from synthassay.generators.training.checkpoint import (
    PREVIOUS,
    SNAPSHOTS,
    Checkpoint,
    LossTable,
    load_checkpoint,
    save_checkpoint,
)
from synthassay.generators.training.data import TrainingData
from synthassay.generators.training.divergence import PATIENCE, windows_above
from synthassay.generators.training.learner import Draws, Learner, Losses, Phase, average_name
from synthassay.generators.training.micro import MicroBatches, no_room
from synthassay.generators.training.rates import learning_rate
from synthassay.records import Progress
from synthassay.seeding import derive_seed
from synthassay.stopping import stop_requests
from synthassay.team import Team, current_team
from synthassay.tensorfiles import write_tensors


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

    def holds(self, step: int) -> bool:
        """Whether the last checkpoint is that of ``step``."""
        return step == self._last_step

    def wrote(self, step: int, cost: float) -> None:
        """Note that the checkpoint of ``step`` is on the disk (or was read from there), in ``cost`` seconds."""
        self._last_step, self._last_time, self._cost = step, time.monotonic(), cost


@dataclass(slots=True, kw_only=True)
class Training:
    """One training under way, in one process or in all of a team."""

    name: str  # of the generator, for messages
    learner: Learner
    data: TrainingData
    spec: TrainingSpec
    condition_dropout: float
    folder: Path
    fingerprint: str
    pace: Pace
    progress: Progress
    team: Team = field(default_factory=current_team)
    micro: MicroBatches = field(init=False)
    parameters: dict[str, list[nn.Parameter]] = field(init=False)  # that learn, by module
    kept_after: frozenset[int] = field(init=False)  # steps whose averages are kept to choose from

    def __post_init__(self) -> None:
        self.micro = MicroBatches(self.name)
        self.kept_after = frozenset(snapshot_steps(self.spec))
        self.parameters = {
            name: [p for p in self.learner.modules[name].parameters() if p.requires_grad]
            for name in self.learner.optimisers
        }
        if self.spec.batch_size < self.team.size:
            raise UserError(f"{self.name}: a batch of {self.spec.batch_size} cannot be shared by {self.team.size} "
                            "processes; raise training.batch_size.")  # fmt: skip

    def run(self) -> None:
        """Train from the last checkpoint, or from the start, to the last step; the final state is a checkpoint too.

        A signal that asks for an end is obeyed after the step under way, of which a checkpoint is written.
        """
        learner, spec = self.learner, self.spec
        found = load_checkpoint(self.folder, self.fingerprint, learner.modules, learner.optimisers)
        state = found or Checkpoint(self.fingerprint, 0, LossTable())
        if self.team.most(state.step) != self.team.least(state.step):
            raise UserError(f"{self.name}: the processes found different checkpoints; do they share store.root?")
        state.window = [{name: loss.to(self.data.device) for name, loss in row.items()} for row in state.window]
        self.pace.wrote(state.step, 0.0)
        self.progress.start(f"train {self.name}", spec.steps, state.step)
        with stop_requests() as stop, tuned(self.data.device):
            while state.step < spec.steps:
                self._advance(state)
                if asked := self.team.most(stop.number):
                    self._save(state)
                    self.team.wait()
                    stop.obey(asked)
        if self.team.rank == 0:
            (self.folder / PREVIOUS).unlink(missing_ok=True)
        self.progress.finish()

    def _advance(self, state: Checkpoint) -> None:
        try:
            state.window.append(self._step(state.step))
        except torch.OutOfMemoryError as error:  # outside the losses, of which MicroBatches takes care
            raise no_room(self.name) from error
        state.step += 1
        self.progress.advance()
        if state.step in self.kept_after:
            self._write_snapshots(state.step)
        if state.step % self.spec.log_every == 0 or state.step == self.spec.steps:
            self._close_window(state)

    def _step(self, step: int) -> Mapping[str, Tensor]:
        """One step; returns its losses, over the whole batch."""
        for optimiser in self.learner.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(self.spec, step)
        shown = self._update(step)
        self.learner.after(step, shown)
        for average in self.learner.averages:
            average.follow(step + 1)
        return shown

    def _update(self, step: int) -> dict[str, Tensor]:
        """Draw the batch of ``step`` and go through its phases."""
        spec, data = self.spec, self.data
        part = self.team.part(spec.batch_size)
        images, condition = data.batch(data.rows(step, spec.batch_size)[part])
        data.expect(step + 1, spec.batch_size, part)
        generator = step_generator(data.seed, step, data.device)
        uniform = torch.rand(spec.batch_size, data.vocabulary.draws, generator=generator, device=data.device)
        condition = condition.dropped(uniform[part], self.condition_dropout)
        shown: dict[str, Tensor] = {}
        for phase in self.learner.phases(step):
            draws = tuple(draw[part] for draw in phase.draws(spec.batch_size, generator))
            shown |= self._descend(phase, images, condition, draws)
        return shown

    def _descend(self, phase: Phase, images: Tensor, condition: Condition, draws: Draws) -> dict[str, Tensor]:
        """One optimiser step of ``phase.module``; other modules that the loss ran through get no gradient."""

        def loss(rows: slice) -> Losses:
            with autocast(self.data.device, self.spec.precision):
                return phase.loss(images[rows], condition.rows(rows), *(draw[rows] for draw in draws))

        parameters = self.parameters[phase.module]
        gradients, shown = self.micro.gradients(parameters, loss, len(images), self.spec.batch_size)
        added = self.team.add_each([*gradients, *shown.values()])  # in one message
        for parameter, gradient in zip(parameters, added, strict=False):
            parameter.grad = laid_out(gradient, parameter)
        if self.spec.gradient_clip:
            nn.utils.clip_grad_norm_(parameters, self.spec.gradient_clip)
        self.learner.optimisers[phase.module].step()
        return dict(zip(shown, added[len(parameters) :], strict=True))

    def _close_window(self, state: Checkpoint) -> None:
        """Losses are read from the device, checked and logged here only, so that a GPU is not held up each step."""
        names = list(dict.fromkeys(name for row in state.window for name in row))
        means = [torch.stack([row[name] for row in state.window if name in row]).double().mean() for name in names]
        values = {name: mean.item() for name, mean in zip(names, means, strict=True)}
        state.window.clear()
        if not all(math.isfinite(value) for value in values.values()):
            raise self._diverged("a loss or weight is not finite", state.step)
        state.losses.append(state.step, values)
        self.progress.log(state.step, **values)
        above, ended = windows_above(state.losses, self.spec.explosion), state.step == self.spec.steps
        if above >= PATIENCE or (above and ended):
            raise self._diverged("the loss is far above where it began", state.step)
        if ended or self.pace.due(state.step):
            self._save(state)

    def _save(self, state: Checkpoint) -> None:
        """Write a checkpoint, unless there is one of this step or the loss is high: the last good one is kept."""
        if self.team.rank or self.pace.holds(state.step) or windows_above(state.losses, self.spec.explosion):
            return
        if not all_finite(self.learner.modules.values()):  # the update itself may have overflowed
            raise self._diverged("a loss or weight is not finite", state.step)
        start = time.monotonic()
        save_checkpoint(self.folder, state, self.learner.modules, self.learner.optimisers)
        self.pace.wrote(state.step, time.monotonic() - start)

    def _write_snapshots(self, step: int) -> None:
        """The averages after ``step``; the first one after the last step is the model itself, and written elsewhere."""
        if self.team.rank:
            return
        (self.folder / SNAPSHOTS).mkdir(exist_ok=True)
        for k in range(step == self.spec.steps, len(self.learner.averages)):
            average = self.learner.modules[average_name(k)]
            write_tensors(self.folder / snapshot_name(step, k), average.state_dict())

    def _diverged(self, found: str, step: int) -> UserError:
        rate = self.spec.learning_rate
        return UserError(
            f"{self.name}: training diverged ({found}) between steps {max(0, step - self.spec.log_every)} and {step}.\n"
            f"Lower training.learning_rate (now {rate:g}), raise training.warmup_steps, or set "
            "training.gradient_clip=1; the last good checkpoint is kept."
        )


def step_generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    """The generator of all draws of one step, on ``device``."""
    return torch.Generator(device=device).manual_seed(derive_seed("train-step", seed, step))


def snapshot_steps(spec: TrainingSpec) -> list[int]:
    """After which steps the average is kept to choose from; the last is the end of the training."""
    return sorted({max(1, spec.steps * k // spec.snapshots) for k in range(1, spec.snapshots + 1)})


def snapshot_name(step: int, k: int = 0) -> str:
    """Where average ``k`` after ``step`` lies in a training's folder."""
    return f"{SNAPSHOTS}/{step:08d}.{average_name(k)}.safetensors"


def laid_out(gradient: Tensor, parameter: Tensor) -> Tensor:
    """``gradient`` in memory as ``parameter`` is.

    ``torch.autograd.grad`` may return it transposed, as it does for the convolutions of a gradient penalty, and a fused
    optimiser goes through both in the order of their memory without a look at their strides.
    """
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


@torch.no_grad()
def all_finite(modules: Iterable[nn.Module]) -> bool:
    """Whether every parameter is finite."""
    parameters = [p for module in modules for p in module.parameters()]
    return bool(torch.stack([p.isfinite().all() for p in parameters]).all())
