"""Differentially private training: DP-SGD (Abadi et al. 2016, arXiv 1607.00133) whose unit is the patient.

Why one patient more or fewer changes the sum of a step's gradients by ``clip`` at most: a patient's gradient is that of
the mean loss over its rows alone, in a network without batch statistics; everything that is random in it (which images,
levels of noise, noise, dropped conditions) comes from a generator of this patient and step, so no draw of anybody else
depends on who is there (levels are stratified within a patient's rows only); and it is clipped as a whole. The sum is
divided by the expected number of patients, not by that drawn. Optimiser, averages and snapshots only see the sum with
its noise. One backward pass a patient is exact for any network and keeps one gradient in memory; Opacus' hooks would
keep one an image, and know fewer layers. Its accountants say what the noise is worth.
"""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from synthassay.errors import UserError
from synthassay.generators.devices import autocast
from synthassay.generators.training.guarantee import Guarantee, guarantee
from synthassay.generators.training.learner import Losses, Phase
from synthassay.generators.training.loop import Training, laid_out
from synthassay.generators.training.private_specs import DpSpec
from synthassay.seeding import derive_seed, numpy_generator

SEEN = "patients"  # how many were looked at


@dataclass(slots=True, kw_only=True)
class PrivateTraining(Training):
    """A training whose steps are private. ``patients`` holds the rows of each one's images."""

    patients: Sequence[NDArray[np.int64]]
    guarantee: Guarantee
    views: int

    @classmethod
    def of(cls, training: Training, spec: DpSpec, patients: NDArray[np.str_]) -> Self:
        """``training``, privately; ``patients`` names that of each image."""
        refuse_batch_statistics(training.name, training.learner.modules.values())
        rows = rows_by_patient(patients)
        promised = guarantee(training.name, spec, training.spec.steps, len(rows))
        common = {field.name: getattr(training, field.name) for field in fields(training) if field.init}
        return cls(**common, patients=rows, guarantee=promised, views=spec.views)

    def _update(self, step: int) -> dict[str, Tensor]:
        """One step of the learner's only phase. ``clipped`` is the share of patients whose gradient was too long.

        It and the losses are means over the patients looked at, and not private.
        """
        (phase,) = self.learner.phases(step)
        parameters = self.parameters[phase.module]
        total, shown = self._sum(phase, parameters, step)
        if self.team.rank == 0:  # once for the whole team
            torch._foreach_add_(total, self._noise(parameters, step))
        added = self.team.add_each([*total, *shown.values()])  # in one message
        for parameter, gradient in zip(parameters, added, strict=False):
            parameter.grad = laid_out(gradient / self.guarantee.expected, parameter)
        self.learner.optimisers[phase.module].step()
        sums = dict(zip(shown, added[len(parameters) :], strict=True))
        seen = sums.pop(SEEN)
        return {name: value / seen for name, value in sums.items()}

    def _sum(
        self, phase: Phase, parameters: Sequence[nn.Parameter], step: int
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Sums over this process's patients: the clipped gradients of those drawn; the losses of all looked at."""
        total = [torch.zeros_like(parameter) for parameter in parameters]
        shown: dict[str, Tensor] = {}
        for patient, counts in self._drawn(step):
            losses = self._loss(phase, patient, step)
            gradient = list(torch.autograd.grad(losses.descended, parameters))
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradient))).item()
            if counts and math.isfinite(norm):  # what is not finite would exceed any bound
                torch._foreach_add_(total, gradient, alpha=min(1.0, self.guarantee.clip / max(norm, 1e-12)))
            one = torch.ones((), device=self.data.device)
            for name, value in {**losses.shown, "clipped": one * (norm > self.guarantee.clip), SEEN: one}.items():
                shown[name] = shown[name] + value.detach() if name in shown else value.detach()
        return total, shown

    def _drawn(self, step: int) -> Iterator[tuple[int, bool]]:
        """Patients of ``step``, and whether they count: where nobody was drawn, one is looked at for the losses."""
        n = len(self.patients)
        uniform = (
            os_uniform(n) if self.guarantee.secure else numpy_generator("dp-patients", self.data.seed, step).random(n)
        )
        drawn = np.flatnonzero(uniform < self.guarantee.sample_rate)
        mine = [patient for patient in drawn.tolist() if self.team.owns(patient)]
        yield from ((patient, True) for patient in mine) if mine else ((0, False),)

    def _loss(self, phase: Phase, patient: int, step: int) -> Losses:
        """The loss of one patient alone, by draws of its own."""
        data = self.data
        order = numpy_generator("dp-images", data.seed, step, patient).permutation(self.patients[patient])
        images, condition = data.batch(np.resize(order, self.views))
        generator = torch.Generator(data.device).manual_seed(derive_seed("dp-draws", data.seed, step, patient))
        uniform = torch.rand(self.views, data.vocabulary.draws, generator=generator, device=data.device)
        condition = condition.dropped(uniform, self.condition_dropout)
        draws = phase.draws(self.views, generator)
        with autocast(data.device, self.spec.precision):
            return phase.loss(images, condition, *draws)

    def _noise(self, parameters: Sequence[nn.Parameter], step: int) -> list[Tensor]:
        deviation = self.guarantee.noise * self.guarantee.clip
        if self.guarantee.secure:
            drawn = [torch.from_numpy(os_normal(tuple(p.shape))).to(p) for p in parameters]
        else:
            device = self.data.device
            generator = torch.Generator(device).manual_seed(derive_seed("dp-noise", self.data.seed, step))
            drawn = [torch.randn(p.shape, generator=generator, device=device) for p in parameters]
        return [noise * deviation for noise in drawn]


def rows_by_patient(patients: NDArray[np.str_]) -> list[NDArray[np.int64]]:
    """The rows of each patient, in the order of their names."""
    _, codes = np.unique(patients, return_inverse=True)
    return [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]


def refuse_batch_statistics(name: str, modules: Iterable[nn.Module]) -> None:
    """Raises :class:`UserError` for layers in which patients mix, or whose statistics no noise protects."""
    for part in (part for module in modules for part in module.modules()):
        if isinstance(part, _BatchNorm) or (isinstance(part, _NormBase) and part.track_running_stats):
            raise UserError(f"{name}: its network has {type(part).__name__}, whose statistics mix patients, so that "
                            "private=dp would promise nothing.\nUse group normalisation.")  # fmt: skip


def os_uniform(n: int) -> NDArray[np.float64]:
    """``[n]`` numbers in (0, 1) of 53 bits from the operating system's cryptographic generator."""
    bits = np.frombuffer(os.urandom(8 * n), np.uint64) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) / 2**53


def os_normal(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Standard normal draws, each from four of :func:`os_uniform`.

    A sum of four halves leaves no trace of how one number was rounded (Holohan and Braghin 2021, arXiv 2107.10138).
    """
    n = math.prod(shape)
    four = ndtri(os_uniform(4 * n)).reshape(4, n)
    total: NDArray[np.float64] = four.sum(0) / 2
    return total.reshape(shape)
