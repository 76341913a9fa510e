"""How often the 95% intervals cover, as ``benchmarks/interval_coverage.py`` measured it on simulated cohorts.

``measured_coverage.json`` is written by that script. Its simulations have several designs (a generator that is nearly
right, a perfect one, real patients against real patients); a note gives the range over them.
"""

import json
import math
from functools import cache
from importlib import resources
from typing import Any

from synthassay.metrics.intervals import CONFIDENCE
from synthassay.metrics.neighbours import Variant

BAND = (0.93, 0.97)  # coverage that needs no note; a measured share has a standard error of half a point
SAME_DEFINITION = {"fid": "frechet_distance", "cmmd": "mmd_rbf"}  # the same estimator on the features of one encoder
NOT_MEASURED = "the coverage of this interval was not measured"


@cache
def _measured() -> dict[str, Any]:
    text = resources.files("synthassay.metrics").joinpath("measured_coverage.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def coverage_note(metric: str, variant: Variant, n_patients: int, confidence: float = CONFIDENCE) -> str:
    """What a result must say about its interval; empty where measured coverage lies within 93 to 97%.

    ``n_patients``: resampling units of the side that limits the interval. Uses the largest measured number of patients
    that is not above it. The note names the method and the lowest and highest coverage over the simulated designs, and
    says so where the coverage of such an interval was not measured.
    """
    measured, name = _measured(), SAME_DEFINITION.get(metric, metric)
    cells = [cell for cell in measured["coverage"] if (cell["metric"], cell["variant"]) == (name, variant)]
    if not cells:
        return NOT_MEASURED
    if not math.isclose(confidence, measured["confidence"]):
        return f"coverage was measured for {100 * measured['confidence']:.0f}% intervals only"
    sizes = [size for size in measured["patients"] if size <= n_patients]
    if not sizes:
        return f"coverage was not measured under {min(measured['patients'])} patients"
    shares = [round(share, 3) for share in cells[0]["share"][str(max(sizes))].values()]
    low, high = min(shares), max(shares)
    if BAND[0] <= low and high <= BAND[1]:
        return ""
    percent = f"{100 * low:.1f}%" if low == high else f"{100 * low:.1f} to {100 * high:.1f}%"
    return f"{cells[0]['method']} covers {percent} (measured at {max(sizes)} patients)"
