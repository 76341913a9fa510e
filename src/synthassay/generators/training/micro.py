"""Gradients of a batch in as many parts as its memory asks for."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from synthassay.errors import UserError
from synthassay.generators.training.learner import Losses

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class MicroBatches:
    """Splits a batch in two, and again, where a GPU's memory does not hold it. What is found out once is kept.

    The gradient of a batch is the mean over its parts, so only rounding changes.
    """

    name: str  # of the generator, for messages
    parts: int = 1

    def gradients(
        self, parameters: Sequence[nn.Parameter], loss: Callable[[slice], Losses], rows: int, total: int
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """This process's share of the gradient and of the losses of a batch of ``total``, of which it has ``rows``.

        Raises :class:`UserError` when a single row does not fit.
        """
        while True:
            try:
                return self._sum(parameters, loss, rows, total)
            except torch.OutOfMemoryError as error:
                if self.parts >= rows:
                    raise no_room(self.name) from error
            self.parts = min(rows, 2 * self.parts)
            torch.cuda.empty_cache()
            logger.warning(
                "%s: the GPU's memory does not hold a batch of %d; it is worked in %d parts, with the same result to "
                "rounding", self.name, rows, self.parts,
            )  # fmt: skip

    def _sum(
        self, parameters: Sequence[nn.Parameter], loss: Callable[[slice], Losses], rows: int, total: int
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        gradients: list[Tensor] = []
        shown: dict[str, Tensor] = {}
        for k in range(self.parts):
            part = slice(rows * k // self.parts, rows * (k + 1) // self.parts)
            weight = (part.stop - part.start) / total
            descended, named = loss(part)
            more = torch.autograd.grad(descended if weight == 1 else descended * weight, parameters)
            if gradients:
                torch._foreach_add_(gradients, list(more))
            else:
                gradients = list(more)
            for name, value in named.items():
                weighted = value.detach() * weight
                shown[name] = shown[name] + weighted if name in shown else weighted
        return gradients, shown


def no_room(name: str) -> UserError:
    """What to do where nothing is left to split."""
    return UserError(
        f"{name}: the GPU's memory does not hold the training of a single image.\n"
        "Choose smaller network.channels or a smaller cohort.size; what was trained so far is kept."
    )
