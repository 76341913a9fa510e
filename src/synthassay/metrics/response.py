"""How far images follow a condition: their change with its value, against their change with the seed."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthassay.metrics.intervals import Interval, no_interval, t_interval


@dataclass(frozen=True, slots=True)
class Response:
    """Mean absolute changes as shares of the grey range. ``share`` is None where another seed changes nothing."""

    change: float  # another value of the condition, same seed
    other: float  # another seed, same conditions
    share: float | None  # change / other: 0 where the generator ignores the condition
    interval: Interval  # of share, over seeds
    seeds: int


def response(images: NDArray[np.unsignedinteger], again: NDArray[np.unsignedinteger], reference: int) -> Response:
    """``images`` ``[s, v, …]``: seed by value of the condition; ``again`` ``[s, …]``: the reference of other seeds.

    ``share`` is a ratio of means over seeds; its interval is by linearisation (Cochran 1977, Sampling Techniques,
    section 6.4), with Student's t on s-1 degrees of freedom. It says how far seeds of this trained generator agree, and
    nothing of another training.
    """
    held = images[:, reference]
    values = [k for k in range(images.shape[1]) if k != reference]
    change = np.mean([_apart(images[:, k], held) for k in values], axis=0)
    other = _apart(again, held)
    if not other.any():
        gap = no_interval("the generator draws the same image for every seed")
        return Response(float(change.mean()), 0.0, None, gap, len(held))
    share = float(change.mean() / other.mean())
    error = float(np.std(change - share * other, ddof=1) / other.mean()) / math.sqrt(len(held))
    interval = t_interval(share, error, len(held), method="ratio of means over seeds").clipped(0.0, math.inf)
    return Response(float(change.mean()), float(other.mean()), share, interval, len(held))


def _apart(a: NDArray[np.unsignedinteger], b: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
    """``[s, …]`` twice → ``[s]``: mean absolute difference as a share of the range of the type."""
    apart = np.abs(a.astype(np.float64) - b.astype(np.float64)) / np.iinfo(a.dtype).max
    return np.asarray(apart.reshape(len(a), -1).mean(axis=1), np.float64)
