"""The command ``selftest``: cases with a known answer, run through the metrics of this installation."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthassay.cli.device import device_of
from synthassay.cli.text_table import say, text_table
from synthassay.errors import UserError
from synthassay.reports.words import METRIC_NAMES
from synthassay.store.provenance import package_versions

if TYPE_CHECKING:
    from synthassay.metrics.selftest.checks import Check

PACKAGES = ("synthassay", "numpy", "scipy", "torch")  # what the metrics compute with


def selftest_command(arguments: list[str]) -> int:
    """Print a table of case, metric, expected and found; exit code 1 when any check fails."""
    choice = _device_choice(arguments)
    _tell("running the metrics on cases with a known answer ...")
    # Imported after the first line is on the screen.
    from synthassay.metrics.selftest.run import run_selftest

    start, device = time.monotonic(), device_of(choice)
    checks: list[Check] = []
    for check in run_selftest(device):
        if not checks or checks[-1].case != check.case:
            _tell(f"  {check.case}")
        checks.append(check)
    say(text_table(["Case and metric", "Expected", "Found", "Result", "From"], _rows(checks), numeric=(1, 2)))
    failed = sum(not check.passed for check in checks)
    say(f"\n{len(checks) - failed} of {len(checks)} checks passed on {device} in {time.monotonic() - start:.0f} s")
    say(", ".join(f"{name} {version}" for name, version in package_versions().items() if name in PACKAGES))
    return 1 if failed else 0


def _device_choice(arguments: Sequence[str]) -> str:
    """The value of ``--device``."""
    given = [argument for pair in arguments for argument in pair.split("=", 1)]
    if not given:
        return "auto"
    if given[0] != "--device" or len(given) != 2:
        raise UserError(f"selftest takes --device auto, cpu or cuda and nothing else, found: {' '.join(arguments)}")
    return given[1]


def _rows(checks: "Sequence[Check]") -> list[list[str]]:
    """A row for each check, and one above those of each case."""
    rows: list[list[str]] = []
    for i, check in enumerate(checks):
        if i == 0 or checks[i - 1].case != check.case:
            rows.append([check.case, "", "", "", ""])
        name = "  " + METRIC_NAMES.get(check.metric, check.metric)
        rows.append([name, _expected(check), _number(check.found), "pass" if check.passed else "FAIL", check.theory])
    return rows


def _expected(check: "Check") -> str:
    middle, tolerance = (check.low + check.high) / 2, (check.high - check.low) / 2
    return _number(middle) if tolerance == 0 else f"{_number(middle)} ± {_number(tolerance, 1)}"


def _number(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}g}".replace("-", "−")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
