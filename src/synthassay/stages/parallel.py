"""Independent stages at the same time, on a machine without a GPU.

The networks that fit a CPU budget are too small for one of them to keep two cores busy, so each job gets a process and
a thread of its own. Jobs only fill the store: the line runs its stages afterwards as it always does, and finds them.
"""

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from synthassay.errors import UserError
from synthassay.records import Progress
from synthassay.specs import Resources
from synthassay.stages.context import RunContext, RunSpec
from synthassay.stopping import Stopped, StopRequest, stop_requests
from synthassay.store.provenance import usable_cores
from synthassay.store.store import StageKey, Store
from synthassay.team import current_team

SECONDS_BETWEEN_MESSAGES = 0.5
SECONDS_TO_SAVE = 25.0  # Slurm kills 30 seconds after it has asked


@dataclass(frozen=True, slots=True)
class Job:
    """``work(context, *arguments)`` in a process of its own: a module-level function that builds the stage ``key``."""

    key: StageKey
    work: Callable[..., object]
    arguments: tuple[Any, ...]


def fill_store(context: RunContext, jobs: Sequence[Job]) -> None:
    """Run ``jobs`` in as many processes as there are threads to use; nothing to do for one job, one thread or a GPU.

    The first error of a job, or a signal that asks for an end, ends the others and is raised here; they save what they
    are at. Neither is there anything to do in a team, which trains together.
    """
    context.fresh.update(job.key.digest for job in jobs)
    threads = context.resources.threads or usable_cores()
    size = min(threads, len(jobs))
    if size < 2 or context.resources.torch_device() != "cpu" or current_team().size > 1:
        return
    spawn = get_context("spawn")
    messages = spawn.Queue()
    resources = context.resources.model_copy(update={"threads": threads // size, "device": "cpu"})
    set_up = (context.spec, context.store.root, context.keys, resources, messages, os.getpid())
    pool = ProcessPoolExecutor(size, spawn, initializer=_begin, initargs=set_up)
    with stop_requests() as stop:
        try:
            futures = [pool.submit(_run, index, job) for index, job in enumerate(jobs)]
            _show(context.progress, messages, futures, stop)
            if not stop.number:
                for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                    future.result()
        except Stopped as stopped:  # the signal went to a worker first, or to it only
            stop.number = stop.number or stopped.number
        except BrokenProcessPool as error:
            if not stop.number:  # else the signal ended the workers too
                raise UserError(
                    "a training process was killed, most often because memory ran out.\n"
                    "Use resources.threads=1 to train one at a time; what was done is kept."
                ) from error
        finally:
            _stop(pool)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers. Those that are training write a checkpoint first, from which they continue next time."""
    workers = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + SECONDS_TO_SAVE
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
        worker.kill()
        worker.join()


def _show(progress: Progress, messages: Any, futures: Sequence[Future[None]], stop: StopRequest) -> None:
    """Pass on what the jobs report until all are done, one has failed, or a signal asks for an end."""
    bars: dict[int, Progress] = {}
    while not stop.number:
        ended = all(f.done() for f in futures) or any(f.done() and f.exception() is not None for f in futures)
        try:
            index, method, arguments, values = messages.get(timeout=0.2)
        except queue.Empty:
            if ended:
                return
            continue
        bar = bars.setdefault(index, progress.fork())
        getattr(bar, method)(*arguments, **values)


class _Messenger:
    """A :class:`~synthassay.records.Progress` that sends what it is told to the parent process."""

    def __init__(self, index: int, messages: Any) -> None:
        self._index, self._messages = index, messages
        self._done, self._sent = 0, time.monotonic()

    def _send(self, method: str, *arguments: Any, **values: float) -> None:
        self._messages.put((self._index, method, arguments, values))

    def start(self, what: str, total: int, done: int = 0) -> None:
        """Begin a bar."""
        self._done, self._sent = 0, time.monotonic()
        self._send("start", what, total, done)

    def advance(self, n: int = 1) -> None:
        """``n`` more units are done; sent twice a second."""
        self._done += n
        if time.monotonic() - self._sent > SECONDS_BETWEEN_MESSAGES:
            self._flush()

    def log(self, step: int, **values: float) -> None:
        """Values of the work under way."""
        self._send("log", step, **values)

    def finish(self) -> None:
        """End the bar."""
        self._flush()
        self._send("finish")

    def fork(self) -> "Progress":
        """Jobs have one bar each."""
        return self

    def _flush(self) -> None:
        if self._done:
            self._send("advance", self._done)
        self._done, self._sent = 0, time.monotonic()


_context: RunContext
_messages: Any


def _begin(spec: RunSpec, root: Path, keys: Path, resources: Resources, messages: Any, parent: int) -> None:
    """Set a worker process up: its threads, its context, and an end when its parent has ended."""
    global _context, _messages
    import torch

    from synthassay.records import SilentProgress

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    torch.set_num_threads(resources.threads)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    messages.cancel_join_thread()  # whoever stops early does not read them any more
    _context, _messages = RunContext(spec, Store(root), keys, resources, SilentProgress()), messages


def _end_with(parent: int) -> None:
    # A killed run must not leave processes that hold the locks of its stages.
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_MESSAGES)
    os._exit(1)


def _run(index: int, job: Job) -> None:
    job.work(replace(_context, progress=_Messenger(index, _messages), stages=[]), *job.arguments)
