"""The processes that work on one run together. One process is a team of one."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from synthassay.errors import UserError


class TeammateLost(UserError):
    """Another process of the team has ended, most often after it said why."""

    def __init__(self) -> None:
        super().__init__(
            "another process of this run has ended, and this one cannot go on without it.\n"
            "Start the run again with the same command; it continues from the last checkpoint."
        )


@dataclass(frozen=True, slots=True)
class Team:
    """``rank`` of ``size`` processes, all of which make the same calls in the same order.

    Every method that sends something raises :class:`TeammateLost` when one of them has ended.
    """

    rank: int = 0
    size: int = 1

    def owns(self, item: int) -> bool:
        """Whether this process works on the item with this number."""
        return item % self.size == self.rank

    def part(self, n: int) -> slice:
        """This process's rows of ``n``; the parts differ by one row at most."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def add(self, part: Tensor) -> Tensor:
        """The sum of ``part`` over the team, in place."""
        if self.size > 1:
            with _meeting():
                dist.all_reduce(part)
        return part

    def add_each(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """The sum of each tensor over the team, sent as one message of float32, and contiguous."""
        if self.size == 1 or not parts:
            return list(parts)
        flat = self.add(torch.cat([part.flatten().float() for part in parts]))
        wholes = torch.split(flat, [part.numel() for part in parts])
        return [whole.view_as(part) for whole, part in zip(wholes, parts, strict=True)]

    def least(self, number: int) -> int:
        """The smallest of every process's ``number``."""
        return -self.most(-number)

    def most(self, number: int) -> int:
        """The largest of every process's ``number``."""
        if self.size == 1:
            return number
        part = torch.tensor([number])
        if dist.get_backend() == "nccl":
            part = part.cuda()
        with _meeting():
            dist.all_reduce(part, op=dist.ReduceOp.MAX)
        return int(part[0])

    def gather(self, part: Tensor) -> list[Tensor]:
        """``part`` of every process; all must have the same shape."""
        if self.size == 1:
            return [part]
        parts = [torch.empty_like(part) for _ in range(self.size)]
        with _meeting():
            dist.all_gather(parts, part.contiguous())
        return parts

    def share(self, value: Any = None) -> Any:
        """The ``value`` of rank 0, whatever the others give."""
        if self.size == 1:
            return value
        held = [value]
        with _meeting():
            dist.broadcast_object_list(held, src=0)
        return held[0]

    def wait(self) -> None:
        """Return when all have come here."""
        self.most(0)


ALONE = Team()
_apart = False


def current_team() -> Team:
    """The processes of torch.distributed's default group where one was set up, else this process alone."""
    if not _apart and dist.is_available() and dist.is_initialized():
        return Team(dist.get_rank(), dist.get_world_size())
    return ALONE


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Within, :func:`current_team` is this process alone: the others wait for it, or do something else."""
    global _apart
    before, _apart = _apart, True
    try:
        yield
    finally:
        _apart = before


@contextlib.contextmanager
def _meeting() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # what gloo and NCCL raise when a connection has closed
        raise TeammateLost from error
