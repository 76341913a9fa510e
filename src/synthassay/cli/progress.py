"""Progress bars, and the loss values that travel with them."""

import sys
import time
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from synthassay.cli.trackers import Tracker


SECONDS_BETWEEN_LINES = 10.0


class BarProgress:
    """A :class:`synthassay.records.Progress` on the terminal.

    Where standard error is no terminal (a log file, Slurm), one line at the start, at most every ten seconds, and at
    the end takes the place of the moving bar.
    """

    def __init__(self, tracker: "Tracker | None" = None) -> None:
        self.tracker = tracker
        self._bar: tqdm | None = None
        self._what = ""
        self._last = 0.0

    def note(self, text: str) -> None:
        """Say something once, without breaking a bar."""
        tqdm.write(text, file=sys.stderr)
        sys.stderr.flush()

    def start(self, what: str, total: int, done: int = 0) -> None:
        """Begin a bar."""
        self._what, self._last = what, time.monotonic()
        shown = "".join(c if c.isprintable() else "?" for c in what)  # names of files are untrusted
        moving = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=f"{shown:<32}",
            leave=True,
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} {elapsed}<{remaining}{postfix}",
            file=sys.stderr if moving else _Lines(),
            mininterval=0.2 if moving else SECONDS_BETWEEN_LINES,
            ascii=not moving,
            position=None if moving else 0,
        )

    def advance(self, n: int = 1) -> None:
        """``n`` more units are done."""
        if self._bar is not None:
            self._bar.update(n)

    def refresh(self) -> None:
        """Draw the bar again, with the time that has passed."""
        if (bar := self._bar) is not None:
            bar.refresh()

    def log(self, step: int, **values: float) -> None:
        """Show the values beside the bar and hand them to the tracker."""
        now = time.monotonic()
        if self._bar is not None and now - self._last > 1.0:
            self._last = now
            self._bar.set_postfix({name: f"{value:.3g}" for name, value in values.items()}, refresh=False)
        if self.tracker is not None:
            self.tracker.log_step(self._what, step, values)

    def finish(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def fork(self) -> "BarProgress":
        """Another bar beside this one, for work that runs at the same time."""
        return BarProgress(self.tracker)


class NoProgress(BarProgress):
    """Says nothing: of several processes one shows how far they are."""

    def note(self, text: str) -> None:
        """Ignore."""

    def start(self, what: str, total: int, done: int = 0) -> None:
        """Ignore; without a bar nothing else is shown either."""

    def fork(self) -> "BarProgress":
        """This one."""
        return self


class _Lines:
    """Standard error for a bar that must not move: each state is a line of its own."""

    def write(self, text: str) -> None:
        """Write what the bar prints, without its carriage returns."""
        line = text.strip("\r\n ")
        if line:
            sys.stderr.write(line + "\n")

    def flush(self) -> None:
        """Flush standard error."""
        sys.stderr.flush()
