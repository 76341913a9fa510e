"""Work over many files in a pool of processes, in order."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from synthassay.errors import UserError
from synthassay.specs import Resources

T = TypeVar("T")
R = TypeVar("R")
FEWEST_TASKS = 8  # below it a pool costs more (about a second for each process) than it saves


def worker_count(resources: Resources) -> int:
    """Processes that may read scans: ``workers``, else ``threads``, else the cores of this process."""
    if resources.workers or resources.threads:
        return resources.workers or resources.threads
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def ordered_map(function: Callable[[T], R], tasks: Sequence[T], workers: int) -> Iterator[R]:
    """``function`` of every task, in the order of the tasks. ``function`` and tasks must be picklable.

    Raises :class:`UserError` where a process dies, as it does when the memory runs out.
    """
    if workers < 2 or len(tasks) < FEWEST_TASKS:
        yield from map(function, tasks)
        return
    # Spawned processes inherit no threads, locks or CUDA state of this one.
    pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=get_context("spawn"))
    try:
        yield from pool.map(function, tasks)
    except BrokenProcessPool as error:
        raise UserError("a process that read scans was ended by the system, probably for lack of memory.\n"
                        "Start again with resources.workers=1; what was read is kept.") from error  # fmt: skip
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
