"""One expectation and what was found, and how expectations are made. None is taken from what was found.

- exact: copies, far sets, samples with prescribed moments; the tolerance is what the engine may lose to rounding;
- the mean over independent draws of a case whose expectation is known; the tolerance is four standard errors, from
  theory where it is known and otherwise from the spread of the draws.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from synthassay.metrics.points import Features

RELATIVE = 1e-6  # of the value's scale: what a distance may lose to rounding; counts may lose nothing
ERRORS = 4.0  # standard errors that a mean over draws may be off
DRAWS = 100

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Check:
    """One metric of one case: ``found`` passes inside [``low``, ``high``]; ``theory`` says where these come from."""

    metric: str
    low: float
    high: float
    found: float
    theory: str
    case: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value found is as expected; NaN never is."""
        return self.low <= self.found <= self.high


@dataclass(frozen=True, slots=True)
class Place:
    """Where the metrics compute: calling it gives an array as they are to receive it."""

    device: str = "cpu"

    def __call__(self, rows: Matrix) -> Features:
        """``rows`` themselves, which the metrics take as on the CPU, or a tensor on the device."""
        return rows if self.device == "cpu" else torch.from_numpy(rows).to(self.device)


Case = Callable[[Place], Iterator[Check]]


def exact(metric: str, expected: float, found: float | None, theory: str, tolerance: float = 0.0) -> Check:
    """``found`` must be ``expected`` but for ``tolerance``; None, where a metric has no value, fails."""
    value = math.nan if found is None else float(found)
    return Check(metric, expected - tolerance, expected + tolerance, value, theory)


def on_average(metric: str, expected: float, draws: Iterable[float | None], theory: str) -> Check:
    """The mean of independent draws against its expectation, within :data:`ERRORS` standard errors of that mean."""
    values = np.array([math.nan if value is None else value for value in draws], np.float64)
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    text = f"{theory}; mean of {len(values)} draws"
    return exact(metric, expected, float(values.mean()), text, ERRORS * error)


def whitened(n: int, d: int, generator: np.random.Generator) -> Matrix:
    """``[n, d]`` rows whose mean is 0 and whose covariance (n-1) is the identity, but for rounding."""
    rows = generator.standard_normal((n, d))
    return np.asarray(np.linalg.qr(rows - rows.mean(axis=0))[0] * math.sqrt(n - 1))
