"""Source values by the cohort's written policy: 0 is black, 1 is white."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.scans.unreadable import Unreadable

# Each [c, (d,) h, w], float32 for pictures; float64 after the window, so that values round as those of the cohort do.
Planes = list[NDArray[np.float32] | NDArray[np.float64]]


def window(planes: Planes, policy: Mapping[str, Any]) -> Planes:
    """Source values of one file by the cohort's written policy: 0 is the window's low end, 1 its high end, unclipped.

    Clipping comes after resampling, as it does for the cohort. Raises :class:`Unreadable` for NaN and infinite values,
    and where the window is the scan's own and is empty.
    """
    check_finite(planes)
    low, high = float(policy["low"]), float(policy["high"])
    if policy["mode"] == "scan":  # the window is that of the file's own values
        everything = np.concatenate([plane.ravel() for plane in planes])
        low, high = (float(value) for value in np.percentile(everything, policy["percentiles"]))
        if not low < high:
            raise Unreadable("pixels", "one value throughout", "the scan's own percentiles are equal")
    return between(planes, low, high)


def between(planes: Planes, black: float, white: float) -> Planes:
    """The same with ``black`` as 0 and ``white`` as 1, in double precision."""
    return [(plane.astype(np.float64) - black) / (white - black) for plane in planes]


def check_finite(planes: Planes) -> None:
    """Raises :class:`Unreadable` for NaN and infinite values."""
    if not all(np.isfinite(plane).all() for plane in planes):
        raise Unreadable("pixels", "NaN or infinite values", "holds NaN or infinite values")
