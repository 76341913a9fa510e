"""Sets that copy what they were trained on."""

import math
from collections.abc import Iterator

import numpy as np

from synthassay.metrics.authenticity import authenticity
from synthassay.metrics.c_t import CT, c_t
from synthassay.metrics.selftest.checks import DRAWS, RELATIVE, Check, Place, exact, on_average
from synthassay.metrics.tail_copies import tail_copies
from synthassay.seeding import numpy_generator


def planted_copies(place: Place) -> Iterator[Check]:
    """10 of 1,000 honest images replaced by training images: means hardly move, a tail count finds just these."""
    n, planted = 1000, 10
    generator = numpy_generator("selftest", "planted copies")
    known, new = generator.standard_normal((2000, 64)), generator.standard_normal((n, 64))
    train, honest, copied = place(known), place(new), place(np.concatenate([known[:planted], new[planted:]]))
    before, after = (authenticity(train, rows) for rows in (honest, copied))
    yield exact("authentic copies", 0.0, after.authentic[:planted].sum(), "a copy is at distance 0")
    yield exact("authenticity", before.value - before.authentic[:planted].sum() / n, after.value,
                f"{before.value:.3f} without them, less the share of those replaced", RELATIVE)  # fmt: skip
    yield exact("tail count, honest", 0.0, tail_copies(train, honest).value,
                "at d = 64 no nearest distance is half the mean of 50")  # fmt: skip
    found = tail_copies(train, copied).flagged
    yield exact("tail count, planted", planted / n, found.mean(), "a copy is at distance 0")
    yield exact("copies it found", planted, found[:planted].sum(), "all of them, and nothing else")


def copied_patients(place: Place) -> Iterator[Check]:
    """The case in which tools go wrong that index training rows by synthetic rows."""
    train = numpy_generator("selftest", "copied patients").standard_normal((2000, 64))
    found = authenticity(place(train), place(np.repeat(train[:50], 40, axis=0))).value
    yield exact("authenticity", 0.0, found, "only copies; with the index bug of other tools 0.88")


def fresh_copied_underfitted(place: Place) -> Iterator[Check]:
    """C_T: 0 on average for new images; its ends are the Z of a U of 0, and of all pairs, in each cell."""
    n, d = 400, 64
    generator = numpy_generator("selftest", "C_T")
    train, test, wide = (place(scale * generator.standard_normal((n, d))) for scale in (1, 1, 3))
    fresh = [c_t(train, *map(place, generator.standard_normal((2, n, d))), seed=i).value for i in range(DRAWS // 5)]
    yield on_average("C_T, fresh", 0.0, fresh, "Mann-Whitney of exchangeable distances")
    copied, far = c_t(train, test, train), c_t(train, test, wide)
    yield exact("C_T, copied", _extreme(copied, farther=False), copied.value, "U = 0 in each cell", RELATIVE)
    yield exact("C_T, underfitted", _extreme(far, farther=True), far.value, "U = nm in each cell", RELATIVE)


def _extreme(found: CT, *, farther: bool) -> float:
    """C_T where every synthetic image is nearer (or farther) than every test image, for the cells that count."""
    total = sum(cell.n_test for cell in found.cells)
    value = 0.0
    for cell in found.cells:
        n, m = cell.n_test, cell.n_synthetic
        excess = (n * m if farther else 0) - n * m / 2 + 0.5
        value += cell.n_test / total * excess / math.sqrt(n * m * (n + m + 1) / 12)
    return value
