"""Signals by which a system ends a job: the work under way is saved first."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

SIGNALS = ("SIGTERM", "SIGUSR2")  # Slurm's and a container's end; what submitit asks Slurm to send before one


class Stopped(BaseException):
    """The system asked this process to end, and what was done is on the disk. No error: nothing may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}; the same command continues from here"

    @property
    def exit_code(self) -> int:
        """What a shell shows for a process that the signal ended."""
        return 128 + self.number


@dataclass(slots=True)
class StopRequest:
    """``number`` of the signal that came, or 0."""

    number: int = 0
    before: dict[int, Any] = field(default_factory=dict)  # who handled each signal until now

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal; the work goes on to a place where it can be saved."""
        self.number = number

    def obey(self, number: int = 0) -> None:
        """Let whoever handled the signal (``number``, of a whole team) have it, now that all is saved.

        submitit's handler queues the job again and exits. Where nobody handled it, :class:`Stopped` is raised. A
        handler that returns wants the work to go on.
        """
        number = number or self.number
        self.number = 0
        handler = self.before.get(number, signal.SIG_DFL)
        if not number or handler == signal.SIG_IGN:
            return
        if not callable(handler):
            raise Stopped(number)
        handler(number, None)


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Within, the signals of :data:`SIGNALS` are noted in what this yields; they are obeyed at the end at the latest.

    Handlers are set in the main thread only, as Python demands, and set back at the end.
    """
    request = StopRequest()
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    if threading.current_thread() is threading.main_thread():
        request.before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in request.before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, request.note)
    try:
        yield request
    finally:
        for number, handler in request.before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    request.obey()
