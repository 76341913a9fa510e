"""Neighbour metrics on points spread uniformly over circles, where their expectations are known at any n.

A circle has no border, and the gaps between neighbouring points are exchangeable, so that with k = 1 probabilities
follow from the orders of gaps. A point and its nearest neighbour are each other's nearest with probability 2/3 (the gap
between them, smaller than the one on the point's other side, must be the smallest of three), which makes authenticity
1/3. A point lies outside the balls of both its neighbours with probability 1/2 · 1/2 (on each side, its gap exceeds
the neighbour's other one), which makes precision and recall 3/4.

Whatever the distribution, if both sets share it, the N + M - 1 other images stand around a real one in random order. So
the expectation of density is 1, and that of coverage 1 - Π (N-j)/(N+M-j), j = 1 … k (Naeem et al. 2020, lemma 2).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from synthassay.metrics.authenticity import authenticity
from synthassay.metrics.prdc import ManifoldScores, prdc
from synthassay.metrics.selftest.checks import DRAWS, Check, Matrix, Place, exact, on_average
from synthassay.seeding import numpy_generator


def _circle(n: int, generator: np.random.Generator, centre: float = 0.0) -> Matrix:
    """``[n, 2]`` points uniform on the unit circle around (``centre``, 0)."""
    angle = 2 * np.pi * generator.random(n)
    return np.stack([centre + np.cos(angle), np.sin(angle)], axis=1)


def _averages(
    expected: Mapping[str, tuple[float, str]], scores: Sequence[ManifoldScores]
) -> Iterator[Check]:  # fmt: skip
    for score, (value, theory) in expected.items():
        yield on_average(score, value, (drawn.value(score) for drawn in scores), theory)


def same_circle(place: Place) -> Iterator[Check]:
    """Both sets from one circle."""
    n, m = 200, 120
    generator = numpy_generator("selftest", "circle")
    pairs = [(place(_circle(n, generator)), place(_circle(m, generator))) for _ in range(DRAWS)]
    expected = {
        "precision": (3 / 4, "1 - 1/2 · 1/2"), "recall": (3 / 4, "1 - 1/2 · 1/2"), "density": (1.0, "1 at any k"),
        "coverage": (m / (n + m - 1), "M/(N+M-1)"),
    }  # fmt: skip
    yield from _averages(expected, [prdc(real, drawn, k=1, replicates=0) for real, drawn in pairs])
    yield on_average("authenticity", 1 / 3, (authenticity(*pair).value for pair in pairs), "1 - 2/3")


def dropped_mode(place: Place) -> Iterator[Check]:
    """Real images on four circles far apart, synthetic ones on three of them."""
    each, made = 60, 80
    generator = numpy_generator("selftest", "dropped mode")
    scores = []
    for _ in range(DRAWS):
        real = np.concatenate([_circle(each, generator, 100.0 * mode) for mode in range(4)])
        drawn = np.concatenate([_circle(made, generator, 100.0 * mode) for mode in range(3)])
        scores.append(prdc(place(real), place(drawn), k=1, replicates=0))
    blind, lost = "blind to it: as on one circle", "3/4 of its value on one circle"
    expected = {
        "precision": (3 / 4, blind), "recall": (3 / 4 * 3 / 4, lost), "density": (1.0, blind),
        "coverage": (3 / 4 * made / (each + made - 1), lost),
    }  # fmt: skip
    yield from _averages(expected, scores)


def images_of_one_patient(place: Place) -> Iterator[Check]:
    """Every real image twice, under one patient: only the classic variant takes the copy for a neighbour."""
    generator = numpy_generator("selftest", "patients")
    real, drawn = _circle(200, generator), place(_circle(200, generator))
    doubled, patients = place(np.repeat(real, 2, axis=0)), np.repeat(np.arange(200), 2)
    single = prdc(place(real), drawn, k=1, replicates=0)
    aware = prdc(doubled, drawn, k=1, replicates=0, real_units=patients)
    classic = prdc(doubled, drawn, k=1, replicates=0, real_units=patients, variant="classic")
    for score in ("precision", "coverage"):
        yield exact(f"{score}, patient-aware", single.value(score), aware.value(score), "as with each image once")
        yield exact(f"{score}, classic", 0.0, classic.value(score), "each ball ends at the copy: radius 0")
