"""The metrics of a whole set that the one visit of the features does not give, each with its interval.

Where one of them does not exist for a set (too few images, a row without direction) it is absent with the reason.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from synthassay.errors import UserError
from synthassay.metrics.c_t import c_t
from synthassay.metrics.clipped import clipped_density_coverage
from synthassay.metrics.cmmd import cmmd
from synthassay.metrics.estimates import Estimate, Estimates
from synthassay.metrics.frd import frd
from synthassay.metrics.frechet_infinity import frechet_infinity
from synthassay.metrics.intervals import no_interval
from synthassay.metrics.kid_subsets import kid_subsets
from synthassay.metrics.mifid import mifid
from synthassay.metrics.neighbours import VARIANTS, Variant
from synthassay.metrics.points import Points
from synthassay.metrics.specs import FidelitySpec
from synthassay.metrics.tail_copies import tail_copies
from synthassay.metrics.vendi import vendi
from synthassay.team import ALONE, Team


@dataclass(frozen=True, slots=True)
class Question:
    """A synthetic set, the real set it is held against, and the test patients, whom C_T needs beside train."""

    synthetic: Points
    real: Points
    test: Points
    spec: FidelitySpec
    seed: int
    team: Team = ALONE

    def sides(self) -> dict[str, Any]:
        """Both sides as most metrics take them."""
        return {"real": self.real.given, "synthetic": self.synthetic.given, "real_units": self.real.units,
                "synthetic_units": self.synthetic.units}  # fmt: skip

    def trained(self) -> dict[str, Any]:
        """The same where the real side was trained on."""
        sides = self.sides()
        return {"train": sides.pop("real"), "train_units": sides.pop("real_units"), **sides}


Found = Iterator[tuple[str, Variant, Any]]  # name, variant, and a result with `value` and `interval`


def _clipped(q: Question) -> Found:
    for variant in VARIANTS if q.real.clustered else VARIANTS[:1]:
        found = clipped_density_coverage(**q.sides(), k=q.spec.k, patient_aware=variant == "patient-aware",
                                         replicates=q.spec.replicates, seed=q.seed)  # fmt: skip
        for each in (variant,) if q.real.clustered else VARIANTS:
            yield "clipped_density", each, found.density
            yield "clipped_coverage", each, found.coverage


def _one(name: str, compute: Callable[[Question], Any]) -> Callable[[Question], Found]:
    def found(q: Question) -> Found:
        yield name, "patient-aware", compute(q)

    return found


def _copy_test(q: Question) -> Any:
    return c_t(q.real.given, q.test.given, q.synthetic.given, test_units=q.test.units,
               synthetic_units=q.synthetic.units, seed=q.seed)  # fmt: skip


COMPUTED: dict[tuple[str, ...], Callable[[Question], Found]] = {
    ("clipped_density", "clipped_coverage"): _clipped,
    ("kid_subsets",): _one("kid_subsets", lambda q: kid_subsets(**q.sides(), seed=q.seed)),
    ("cmmd",): _one("cmmd", lambda q: cmmd(**q.sides(), team=q.team)),
    ("mmd_rbf",): _one("mmd_rbf", lambda q: cmmd(**q.sides(), team=q.team)),
    ("frechet_infinity",): _one("frechet_infinity", lambda q: frechet_infinity(**q.sides(), seed=q.seed)),
    ("frd",): _one("frd", lambda q: frd(**q.sides())),
    ("vendi",): _one("vendi", lambda q: vendi(q.synthetic.given, units=q.synthetic.units)),
    ("mifid",): _one("mifid", lambda q: mifid(**q.trained())),
    ("c_t",): _one("c_t", _copy_test),
    ("tail_copies",): _one("tail_copies", lambda q: tail_copies(**q.trained())),
}
OF_SYNTHETIC = ("vendi", "tail_copies")  # the interval is over the set alone


def computations(wanted: Iterable[tuple[str, Variant]]) -> int:
    """How many computations give those of ``wanted`` that are metrics of a whole set."""
    names = {name for name, _ in wanted}
    return sum(not names.isdisjoint(group) for group in COMPUTED)


def set_level_estimates(
    question: Question, wanted: list[tuple[str, Variant]], step: Callable[[], None] = lambda: None
) -> Estimates:
    """The estimates of those of ``wanted`` that are metrics of a whole set; ``step`` is called after each of them."""
    names = {name for name, _ in wanted}
    found: Estimates = {}
    for group, compute in COMPUTED.items():
        asked = [key for key in wanted if key[0] in group and key[0] in names]
        if not asked:
            continue
        try:
            results = {(name, variant): result for name, variant, result in compute(question)}
        except UserError as error:
            reason = no_interval(str(error).splitlines()[0])
            found |= {key: Estimate(None, reason, 0) for key in asked}
        else:
            found |= {key: _estimate(key[0], results[key], question) for key in asked}
        step()
    return found


def _estimate(name: str, result: Any, question: Question) -> Estimate:
    note = getattr(result, "note", "")
    if result.value is None or not math.isfinite(result.value):
        return Estimate(None, no_interval(note), 0)
    interval = result.interval(question.spec.confidence)
    sides = [question.synthetic] if name in OF_SYNTHETIC else [question.synthetic, question.real]
    known = getattr(result, "units", None)
    units = known if isinstance(known, int) else min(points.n_units for points in sides)
    images = name in OF_SYNTHETIC and not question.synthetic.clustered
    return Estimate(float(result.value), interval, units, "image" if images else "patient",
                    "" if note == interval.note else note)  # fmt: skip
