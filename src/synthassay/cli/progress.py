"""Progress bars, and the loss values that travel with them."""

import sys
import time
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from synthassay.cli.trackers import Tracker


class BarProgress:
    """A :class:`synthassay.records.Progress` on the terminal.

    In a log file (no terminal) a line at most every ten seconds is printed instead of a moving bar.
    """

    def __init__(self, tracker: "Tracker | None" = None) -> None:
        self.tracker = tracker
        self._bar: tqdm | None = None
        self._what = ""
        self._last = 0.0

    def note(self, text: str) -> None:
        """Say something once, without breaking a bar."""
        tqdm.write(text, file=sys.stderr)

    def start(self, what: str, total: int, done: int = 0) -> None:
        """Begin a bar."""
        self._what = what
        moving = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=f"{what:<28}",
            unit="",
            leave=True,
            dynamic_ncols=moving,
            mininterval=0.2 if moving else 10.0,
            ascii=not moving,
            file=sys.stderr,
        )

    def advance(self, n: int = 1) -> None:
        """``n`` more units are done."""
        if self._bar is not None:
            self._bar.update(n)

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
