"""All metrics together, as a run scores them: a floor equals the control's own value, and worse sets score worse."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from synthassay.metrics.cache import ReferenceCache
from synthassay.metrics.closeness import METRIC as CLOSER
from synthassay.metrics.fidelity import score_fidelity
from synthassay.metrics.selftest.checks import Check, Place, exact
from synthassay.metrics.specs import FidelitySpec
from synthassay.records import FeatureSet, MetricResult
from synthassay.seeding import numpy_generator

N, D = 120, 8
COPYING = (CLOSER, "tail_copies")  # metrics that look for copies; the others must object to noise
_Key = tuple[str, str, str]


def directions(place: Place) -> Iterator[Check]:
    """Each metric that claims a direction must call far noise, or copies of train, worse than real images."""
    generator = numpy_generator("selftest", "directions")
    test, control, train = (_set(name, generator.standard_normal((N, D)), 2) for name in ("test", "control", "train"))
    noise = _set("noise", 8 + 0.1 * generator.standard_normal((N, D)), 1)
    copies = _set("copies", train.features, 1)
    spec = FidelitySpec(replicates=20, permutations=100, groups=())

    cache = ReferenceCache(test=test, control=control, train=train, spec=spec, seed=0, device=place.device)

    def rows(subject: FeatureSet) -> dict[_Key, MetricResult]:
        found = score_fidelity(subject, test=test, control=control, train=train, spec=spec, seed=0, cache=cache)
        return {(row.metric, row.variant, row.reference): row for row in found}

    good, noisy, copied = rows(control), rows(noise), rows(copies)
    gaps = [abs(row.value - row.floor) for key, row in good.items()
            if row.value is not None and row.floor is not None and key[0] != CLOSER]  # fmt: skip
    yield exact("control as a set", 0.0, max(gaps), f"each of its {len(gaps)} values is its own floor")
    for metric in dict.fromkeys(row.metric for row in good.values() if row.higher_is_better is not None):
        worse, name = (copied, "copies of train") if metric in COPYING else (noisy, "far noise")
        pairs = [(row, worse[key]) for key, row in good.items() if row.metric == metric]
        right = sum(_is_worse(bad, real) for real, bad in pairs)
        yield exact(metric, len(pairs), right, f"times that it calls {name} worse than real")


def _is_worse(bad: MetricResult, good: MetricResult) -> bool:
    if bad.value is None or good.value is None:
        return False
    return bad.value < good.value if good.higher_is_better else bad.value > good.value


def _set(name: str, features: NDArray[np.floating], each: int) -> FeatureSet:
    """Real images of patients with ``each`` images."""
    n = len(features)
    names = np.array([f"{name}-{i}" for i in range(n)])
    return FeatureSet(
        name=name, origin="real", features=features.astype(np.float32), ids=names, patients=names[np.arange(n) // each],
        labels=np.zeros(n, np.int64), label_names=("",), encoder="selftest", encoder_identity=(),
    )  # fmt: skip
