"""Work on files that nobody vouches for, in processes that may die of them without ending the run.

A worker has a limit of memory, which the system turns into a :class:`MemoryError` or the end of the process, and one
of time, at which the system ends it, also inside a decoder that hangs in C. The file that it was at is the one that is
not used; a new worker goes on. Workers are forked from a server that has imported the readers once, so that a new one
costs milliseconds and inherits no thread, lock or CUDA state of this process.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from selectors import EVENT_READ, DefaultSelector
from types import ModuleType
from typing import Any, Generic, TypeVar

from synthassay.errors import UserError
from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable
from synthassay.specs import Resources

T = TypeVar("T")
R = TypeVar("R")
SECONDS_TO_END = 10
ROOM_TO_START, ROOM_TO_READ = 32, 256  # MiB beside what a worker holds when it starts
AHEAD = 64  # items that a worker holds, so that it never waits for the next one
BLAS_THREADS = "OPENBLAS_NUM_THREADS"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
LARGEST_KEPT, MOST_KEPT = 32 << 20, 256 << 20  # bytes of one array, which can be no more, and of all that is unused
MEMORY = "reading it took more memory than limits.memory_mib, or than there is"
CRASH = "reading it crashed a decoder, as damaged data can"
TIME = "reading it took longer than limits.seconds"

FAULT = "a fault of the reader on this file; please report it"

_FORKS = get_context("forkserver")


def worker_count(resources: Resources) -> int:
    """Processes that may read scans: ``workers``, else ``threads``, else the cores of this process."""
    if resources.workers or resources.threads:
        return resources.workers or resources.threads
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Pool(Generic[T, R]):
    """``work`` of many items in ``workers`` processes, under the limits of time and memory for each item.

    ``work`` and the items are picklable. Each worker has its own copy of ``work``, which may keep something open. Its
    method ``warm_up``, if it has one, is called in each worker before the first item, without a limit of time.
    """

    work: Callable[[T], R]
    workers: int
    limits: LimitSpec

    def __post_init__(self) -> None:
        _FORKS.set_forkserver_preload([self.work.__module__])  # of the first pool: the server has started by the next

    def answers(self, items: Sequence[T]) -> Iterator[tuple[int, R | Unreadable]]:
        """Index and answer of every item, as they come; :class:`Unreadable` for one at which its worker ended.

        An item whose worker died is tried once more alone at the end: the system may have ended the worker for the
        memory that the others took. What ``work`` raises is raised here.
        """
        died: list[int] = []
        for index, answer in self._visit(items, range(len(items)), self.workers):
            if isinstance(answer, _Lost) and answer.reason != TIME:
                died.append(index)
            else:
                yield index, answer
        for index in died:
            yield from self._visit(items, [index], 1)

    def _visit(self, items: Sequence[T], indices: Sequence[int], count: int) -> Iterator[tuple[int, R | Unreadable]]:
        todo = deque(indices)
        crew: list[_Worker] = []
        pipes = DefaultSelector()
        try:
            while todo or any(worker.pending for worker in crew):
                while len(crew) < min(count, len(todo)):
                    crew.append(_Worker(self.work, self.limits))
                    pipes.register(crew[-1].pipe, EVENT_READ, crew[-1])
                for worker in crew:
                    worker.feed(items, todo, len(crew))
                for key, _ in pipes.select():
                    worker = key.data
                    yield from worker.collect()
                    if worker.ended:
                        pipes.unregister(key.fd)
                        todo.extendleft(reversed(worker.pending))
                        crew.remove(worker)
        finally:
            for worker in crew:
                worker.stop()
            pipes.close()


def explained(error: BaseException) -> Unreadable:
    """Why a file is not used. Nothing that one file can do may end the reading of the others."""
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        raise error
    if isinstance(error, Unreadable):
        return error
    if isinstance(error, MemoryError):
        return Unreadable("file", "too large", MEMORY)
    if isinstance(error, OSError):
        return Unreadable("file", error.strerror or type(error).__name__, "the file cannot be read")
    return Unreadable("file", type(error).__name__, FAULT)


@contextlib.contextmanager
def _bare_start() -> Iterator[None]:
    """Hides the main module: each worker would import it, which takes seconds and would run somebody's script again.

    The server, which starts with the first of them, is told that one thread is enough for linear algebra: more would
    wait for one another, and hold dozens of MiB each.
    """
    main, threads = sys.modules["__main__"], os.environ.get(BLAS_THREADS)
    sys.modules["__main__"] = ModuleType("__main__")
    os.environ[BLAS_THREADS] = "1"
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        del os.environ[BLAS_THREADS]
        if threads is not None:
            os.environ[BLAS_THREADS] = threads


class _Lost(Unreadable):
    """A file at which its process ended, other than one that the work itself refused."""


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


@dataclass(slots=True, eq=False)
class _Worker:
    """One process; ``pending`` are the items that it was given and has not answered, in its order."""

    work: Callable[[Any], Any]
    limits: LimitSpec
    pipe: Any = None
    process: Any = None
    pending: deque[int] = field(default_factory=deque)
    ready: bool = False
    ended: bool = False

    def __post_init__(self) -> None:
        self.pipe, theirs = _FORKS.Pipe()
        self.process = _FORKS.Process(target=_serve, args=(theirs, self.work, self.limits), daemon=True)
        with _bare_start():
            self.process.start()
        theirs.close()  # so that the pipe ends when the process does

    def feed(self, items: Sequence[Any], todo: deque[int], crew: int) -> None:
        """Give it items of ``todo`` when it has few left; fewer towards the end, so that all end together."""
        ahead = min(AHEAD, len(todo) // (2 * crew) + 1)
        if not todo or len(self.pending) > ahead // 2:
            return
        batch = [todo.popleft() for _ in range(min(ahead, len(todo)))]
        self.pending.extend(batch)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended, which collect() finds
            self.pipe.send([items[index] for index in batch])

    def collect(self) -> Iterator[tuple[int, Any]]:
        """What it has sent, or why it ended."""
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            yield from self._end()
            return
        if isinstance(message, _Raised):
            raise message.error
        if self.ready:
            yield self.pending.popleft(), message
        self.ready = True

    def _end(self) -> Iterator[tuple[int, _Lost]]:
        self.process.join(SECONDS_TO_END)  # a dying process closes its pipe first
        self.stop()
        self.ended = True
        code = self.process.exitcode
        if not self.ready:
            raise UserError(f"a process that reads scans could not start (exit code {code}).\n"
                            "Is there memory, and a process to spare?")  # fmt: skip
        if self.pending:
            yield self.pending.popleft(), _why(code, self.limits)

    def stop(self) -> None:
        """End it, whatever it does."""
        if not self.ended:
            self.process.kill()
            self.process.join()
            self.pipe.close()


def _why(code: int, limits: LimitSpec) -> _Lost:
    if code == -signal.SIGALRM:
        return _Lost("file", f"more than {limits.seconds} s", TIME)
    if code == -signal.SIGKILL:  # what Linux does to a process when the memory runs out
        return _Lost("file", "killed by the system", MEMORY)
    found = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return _Lost("file", found, CRASH)


def _serve(pipe: Connection, work: Callable[[Any], Any], limits: LimitSpec) -> None:
    """What a worker does: answers items one by one until the pipe ends, as it does when the main process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends its workers
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends this process, whatever it does
    if (held := _held_mib()) + ROOM_TO_START > limits.memory_mib:  # a thread without memory never starts, nor ends
        text = f"limits.memory_mib={limits.memory_mib} is too little: a process that reads scans holds {held} MiB "
        pipe.send(_Raised(UserError(text + f"before it reads.\nSet at least {held + ROOM_TO_READ}.")))
        return
    _limit_memory(limits.memory_mib << 20)
    _reuse_memory()
    _silence()
    if hasattr(work, "warm_up"):  # what it imports is no file's fault
        work.warm_up()
    pipe.send(None)
    for item in _received(pipe):
        signal.setitimer(signal.ITIMER_REAL, limits.seconds)
        try:
            answer = work(item)
        except Exception as error:
            error.add_note(traceback.format_exc())
            answer = _Raised(error)
        signal.setitimer(signal.ITIMER_REAL, 0)
        pipe.send(answer)


def restart_clock(limits: LimitSpec) -> None:
    """Gives the item at work the whole limit of time again: a volume of many files has it for each of them."""
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        signal.setitimer(signal.ITIMER_REAL, limits.seconds)


def _received(pipe: Connection) -> Iterator[Any]:
    """Items as they come. A thread takes them in, so that the main process never waits until one is finished."""
    batches: SimpleQueue[list[Any]] = SimpleQueue()

    def take_in() -> None:
        while True:
            try:
                batches.put(pipe.recv())
            except (EOFError, OSError):
                os._exit(0)  # the main process has ended

    threading.Thread(target=take_in, daemon=True).start()
    while True:
        yield from batches.get()


def _reuse_memory() -> None:
    """Has glibc keep the memory of one image for the next: to return and fetch it costs as much as decoding does."""
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such setting
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, MOST_KEPT)


def _silence() -> None:
    # Decoders in C write what they think of a file over the progress bar, and may quote it.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _held_mib() -> int:
    """The data segment of this process, which the limit of memory counts; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in status.splitlines() if line.startswith("VmData")), 0)


def _limit_memory(size: int) -> None:
    # The data segment, which since Linux 4.7 holds all that a process allocates, and not the files and libraries that
    # it maps. macOS takes the limit and does not heed it.
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY or size < most:
        resource.setrlimit(resource.RLIMIT_DATA, (size, most))
