"""What decoders do at their worst, for processes that import it by name."""

import ctypes
import os
import signal
import time

import numpy as np

from synthassay.scans.pool import restart_clock
from synthassay.scans.unreadable import Unreadable

DEADLY = "png/003.png"


def work(item: object) -> object:
    """A decoder at its worst, by the name of what it does."""
    if item == "segfault":
        ctypes.string_at(0)
    elif item == "abort":
        os.abort()
    elif item == "exit":
        os._exit(3)
    elif item == "hang":  # the Python thread never runs again, as in a loop in C
        libc = ctypes.PyDLL(None)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        while True:
            libc.sleep(10)
    elif item == "memory":
        return len(np.ones(1 << 31, np.uint8))
    elif item == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif item == "raise":
        raise ValueError("a fault of ours")
    return item * 2


def read_slowly(limits):
    """Three files of a volume, each within the limit of time and all together not."""
    for _ in range(3):
        restart_clock(limits)
        time.sleep(0.6 * limits.seconds)
    return "read"


def who(seconds: float) -> int:
    """The process that answers, after so long."""
    time.sleep(seconds)
    return os.getpid()


class DiesOnce:
    def __init__(self, folder):
        self.folder = folder

    def __call__(self, item):
        marker = self.folder / "died"
        if item == 2 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item


class Refuses:
    """Refuses every item, and counts how often it is asked."""

    def __init__(self, calls):
        self.calls = calls

    def __call__(self, item):
        with self.calls.open("ab") as stream:
            stream.write(b"x")
        return Unreadable("file", "anything", "refused")


class Deadly:
    """A reader in whose decoder the file :data:`DEADLY` ends the process, or does another ``harm``."""

    def __init__(self, reader, harm="segfault"):
        self.reader, self.harm = reader, harm

    def __call__(self, source):
        return work(self.harm) if source.path == DEADLY else self.reader(source)
