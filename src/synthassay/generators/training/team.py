"""The processes that train one generator together. One process is a team of one."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Team:
    """``rank`` of ``size`` processes, which hold the same weights and take the same steps."""

    rank: int = 0
    size: int = 1

    def part(self, n: int) -> slice:
        """This process's rows of a batch of ``n``; the parts differ by one row at most."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def add(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The sum of each tensor over the team, sent as one."""
        if self.size == 1 or not tensors:
            return list(tensors)
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def wait(self) -> None:
        """Return when all have come here."""
        if self.size > 1:
            dist.barrier()


def current_team() -> Team:
    """The processes of torch.distributed's default group where one was set up, else this process alone."""
    if dist.is_available() and dist.is_initialized():
        return Team(dist.get_rank(), dist.get_world_size())
    return Team()
