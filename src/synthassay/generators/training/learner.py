"""What a family tells the training loop: its networks, its optimisers, and the losses of one step."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from synthassay.generators.specs import TrainingSpec
from synthassay.generators.training.averages import WIDTHS, exponent, power_decay

Draws = tuple[Tensor, ...]


class Losses(NamedTuple):
    """``descended`` is minimised; ``shown`` goes into the table. All are means over the rows of the batch."""

    descended: Tensor
    shown: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Phase:
    """One optimiser update of a step.

    ``draws(n, generator)`` gives all randomness of ``n`` rows, each tensor with ``n`` as its first dimension; the loop
    gives every process and every micro-batch its rows of it. ``loss(images, condition, *draws)`` is a mean over
    independent rows, so that the mean over parts of a batch is that of the batch.
    """

    module: str  # whose parameters are updated, by the optimiser of the same name
    draws: Callable[[int, torch.Generator], Draws]
    loss: Callable[..., Losses]


@dataclass(frozen=True)
class Average:
    """``kept`` follows ``live``, with the decay at each step (from 1)."""

    kept: nn.Module
    live: nn.Module
    decay: Callable[[int], float]

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """``kept ← decay·kept + (1 − decay)·live``, for every parameter; buffers are copied."""
        (kept, kept_buffers), (live, live_buffers) = self._tensors
        torch._foreach_lerp_(kept, live, 1 - self.decay(step))
        for old, new in zip(kept_buffers, live_buffers, strict=True):
            old.copy_(new)

    @cached_property
    def _tensors(self) -> Sequence[tuple[list[Tensor], list[Tensor]]]:
        # Looking for them takes a twentieth of a small network's step.
        return [([*module.parameters()], [*module.buffers()]) for module in (self.kept, self.live)]


class Learner(ABC):
    """One family's networks and how they learn."""

    modules: Mapping[str, nn.Module]  # all that a checkpoint holds; ``average`` is what is sampled from
    optimisers: Mapping[str, Optimizer]  # by the name of the module
    averages: Sequence[Average]

    @abstractmethod
    def phases(self, step: int) -> Sequence[Phase]:
        """The updates of ``step`` (from 0), in order."""

    def after(self, step: int, shown: Mapping[str, Tensor]) -> None:  # noqa: B027 - most families have nothing to do
        """What else follows from the losses of ``step``, over the whole batch; nothing, if a family does not say."""


def followed(live: nn.Module, spec: TrainingSpec) -> tuple[Average, ...]:
    """The averages that ``spec`` asks for; they start as copies of ``live``. The first is sampled from."""
    if spec.ema == "half-life":
        return (Average(copy.deepcopy(live).requires_grad_(False), live, partial(ema_decay, spec)),)
    exponents = [exponent(width) for width in WIDTHS]
    return tuple(Average(copy.deepcopy(live).requires_grad_(False), live, partial(power_decay, e)) for e in exponents)


def kept(averages: Sequence[Average]) -> dict[str, nn.Module]:
    """The averages by the names that they have in files: ``average``, ``average-2``, …"""
    return {average_name(k): average.kept for k, average in enumerate(averages)}


def average_name(k: int) -> str:
    """The name of average ``k``, from 0."""
    return f"average-{k + 1}" if k else "average"


def adamw(module: nn.Module, spec: TrainingSpec) -> AdamW:
    """The optimiser of the families, fused. The loop sets its rate at each step."""
    betas = (spec.beta1, spec.beta2)
    return AdamW(module.parameters(), spec.learning_rate, betas, weight_decay=spec.weight_decay, fused=True)


def ema_decay(spec: TrainingSpec, step: int) -> float:
    """Decay of the average at ``step`` (from 1), from a half-life in images that grows at first.

    As in EDM's code: the ramp lets a short training have an average that is not made of its first steps.
    """
    half_life = min(spec.ema_half_life, step * spec.batch_size * spec.ema_ramp)
    return float(0.5 ** (spec.batch_size / half_life))
