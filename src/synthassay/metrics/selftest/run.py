"""All cases, in the order in which they are shown."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from synthassay.metrics.selftest.checks import Case, Check, Place
from synthassay.metrics.selftest.circles import dropped_mode, images_of_one_patient, same_circle
from synthassay.metrics.selftest.copying import copied_patients, fresh_copied_underfitted, planted_copies
from synthassay.metrics.selftest.directions import directions
from synthassay.metrics.selftest.gaussians import by_hand, two_gaussians
from synthassay.metrics.selftest.limits import disjoint, few_directions, identical, too_wide
from synthassay.metrics.selftest.similarity import similar_images

CASES: Mapping[str, Case] = {
    "two Gaussians": two_gaussians,
    "four numbers, by hand": by_hand,
    "identical sets": identical,
    "disjoint sets": disjoint,
    "underfitted: twice too wide": too_wide,
    "few directions": few_directions,
    "one circle, drawn twice": same_circle,
    "one of four modes dropped": dropped_mode,
    "two images of each patient": images_of_one_patient,
    "1% planted copies": planted_copies,
    "50 patients copied 40 times": copied_patients,
    "fresh, copied, underfitted": fresh_copied_underfitted,
    "images alike, opposite, unrelated": similar_images,
    "direction of each metric": directions,
}


def run_selftest(device: str = "cpu", cases: Mapping[str, Case] = CASES) -> Iterator[Check]:
    """Every check as soon as it is known, computed on ``device``: ``"cpu"``, ``"cuda"`` or as torch names it.

    A case that raises gives one failed check with the error as its theory.
    """
    place = Place(device)
    for name, case in cases.items():
        try:
            for check in case(place):
                yield replace(check, case=name)
        except Exception as error:  # whatever breaks here is what this test is for
            text = " ".join(str(error).split())
            yield Check("all", 0.0, 0.0, math.nan, f"raised {type(error).__name__}: {text}", case=name)
