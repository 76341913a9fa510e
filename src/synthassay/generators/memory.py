"""How many images a GPU's memory holds when they are drawn at once."""

from dataclasses import dataclass
from typing import Protocol

import torch

SHARE = 0.8  # of the free memory: larger batches may choose algorithms with a larger workspace


class Memory(Protocol):
    """The memory of the device that images are drawn on."""

    def watch(self) -> None:
        """Begin to watch what is taken."""

    def taken(self) -> int:
        """Bytes that were taken at the same time since :meth:`watch`, at most, beyond those taken before."""

    def free(self) -> int:
        """Bytes that can be taken now."""


@dataclass(slots=True)
class CudaMemory:
    """:class:`Memory` of a GPU, as torch's allocator counts it."""

    device: torch.device
    before: int = 0

    def watch(self) -> None:
        """See :class:`Memory`."""
        torch.cuda.reset_peak_memory_stats(self.device)
        self.before = torch.cuda.memory_allocated(self.device)

    def taken(self) -> int:
        """See :class:`Memory`."""
        return torch.cuda.max_memory_allocated(self.device) - self.before

    def free(self) -> int:
        """What the driver has, and what the allocator holds without use."""
        free, _ = torch.cuda.mem_get_info(self.device)
        return free + torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)


def memory_of(device: torch.device) -> Memory | None:
    """That of a GPU. On a CPU the caches matter, not the memory, and a larger batch is no faster."""
    return CudaMemory(device) if device.type == "cuda" else None


def rows_that_fit(rows: int, taken: int, free: int, most: int) -> int:
    """How many rows :data:`SHARE` of ``free`` bytes holds, where ``rows`` have taken ``taken``.

    At most ``most``, but not fewer than ``rows``, which have fitted.
    """
    if taken <= 0:
        return rows
    return max(rows, min(most, int(SHARE * free * rows / taken)))
