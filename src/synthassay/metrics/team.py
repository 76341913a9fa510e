"""Processes that share the tiles of one computation. One process is a team of one."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Team:
    """``rank`` of ``size`` processes, all of which make the same calls in the same order with the same sets."""

    rank: int = 0
    size: int = 1

    def owns(self, tile: int) -> bool:
        """Whether this process computes the tile with this number."""
        return tile % self.size == self.rank

    def add(self, part: Tensor) -> Tensor:
        """The sum of ``part`` over the team."""
        if self.size > 1:
            dist.all_reduce(part)
        return part

    def least(self, number: int) -> int:
        """The smallest of every process's ``number``."""
        if self.size == 1:
            return number
        part = torch.tensor([number])
        if dist.get_backend() == "nccl":
            part = part.cuda()
        dist.all_reduce(part, op=dist.ReduceOp.MIN)
        return int(part[0])

    def gather(self, part: Tensor) -> list[Tensor]:
        """``part`` of every process; all must have the same shape."""
        if self.size == 1:
            return [part]
        parts = [torch.empty_like(part) for _ in range(self.size)]
        dist.all_gather(parts, part.contiguous())
        return parts


ALONE = Team()


def current_team() -> Team:
    """The processes of torch.distributed's default group where one was set up, else this process alone."""
    if dist.is_available() and dist.is_initialized():
        return Team(dist.get_rank(), dist.get_world_size())
    return ALONE
