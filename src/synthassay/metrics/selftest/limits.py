"""Sets that are equal, far apart, far too wide, or made of few directions: answers without any chance in them."""

import math
from collections.abc import Iterator

import numpy as np

from synthassay.metrics.authenticity import authenticity
from synthassay.metrics.clipped import clipped_density_coverage
from synthassay.metrics.cmmd import SCALE, SIGMA, cmmd
from synthassay.metrics.frechet import frechet_distance
from synthassay.metrics.kid import kid
from synthassay.metrics.mifid import mifid
from synthassay.metrics.prdc import SCORES, prdc
from synthassay.metrics.selftest.checks import RELATIVE, Check, Place, exact
from synthassay.metrics.vendi import vendi
from synthassay.seeding import numpy_generator


def identical(place: Place) -> Iterator[Check]:
    """A set against itself."""
    n, d = 500, 16
    rows = numpy_generator("selftest", "identical").standard_normal((n, d))
    kernel = (rows @ rows.T / d + 1) ** 3
    own = float(np.trace(kernel)) / n
    pairs = (float(kernel.sum()) - n * own) / (n * (n - 1))
    same = place(rows)
    yield exact("frechet_distance", 0.0, frechet_distance(same, same).value, "equal moments", RELATIVE * 2 * d)
    yield exact("kid", -2 / n * (own - pairs), kid(same, same).value,
                "below 0, as it is unbiased: -2/n · (mean k(x, x) - mean k(x, x'))", RELATIVE * pairs)  # fmt: skip
    yield exact("CMMD", 0.0, cmmd(same, same).value, "equal means of the kernel", RELATIVE)
    yield exact("MiFID", 0.0, mifid(same, same).value, "a Fréchet distance of 0")
    scores = prdc(same, same, k=5, replicates=0)
    for score in SCORES:
        yield exact(score, 1.0, scores.value(score), "each row lies in its own ball, and k rows in each", RELATIVE)
    clipped = clipped_density_coverage(same, same, k=5, replicates=0)
    yield exact("clipped_density", 1.0, clipped.density.value, "as many balls as real images lie in, or more", RELATIVE)
    yield exact(
        "clipped_coverage", 1.0, clipped.coverage.value, "k rows in each ball: no honest set has more", RELATIVE
    )
    yield exact("authenticity", 0.0, authenticity(same, same).value, "no distance is under 0")


def disjoint(place: Place) -> Iterator[Check]:
    """Two sets further apart than any ball reaches."""
    generator = numpy_generator("selftest", "disjoint")
    real, far = place(generator.standard_normal((300, 16))), place(100 + generator.standard_normal((300, 16)))
    scores = prdc(real, far, k=5, replicates=0)
    for score in SCORES:
        yield exact(score, 0.0, scores.value(score), "no ball reaches the other set")
    clipped = clipped_density_coverage(real, far, k=5, replicates=0)
    yield exact("clipped_density", 0.0, clipped.density.value, "no ball reaches the other set")
    yield exact("clipped_coverage", 0.0, clipped.coverage.value, "no ball reaches the other set")
    yield exact("authenticity", 1.0, authenticity(real, far).value, "each training row has a nearer one")


def too_wide(place: Place) -> Iterator[Check]:
    """N(0, I) and N(0, σ²I), σ = 2, at d = 256, where squared distances concentrate around their means.

    From a synthetic to a real image d(1+σ²) = 1280 ± 113, between real ones 2d = 512 ± 45, between synthetic ones
    2dσ² = 2048 ± 181: nothing overlaps by more than four standard deviations.
    """
    d, n, scale = 256, 200, 2.0
    generator = numpy_generator("selftest", "too wide")
    real, wide = place(generator.standard_normal((n, d))), place(scale * generator.standard_normal((n, d)))
    outside, inside = "1280 ± 113 away, balls of 512 ± 45 (squared)", "1280 ± 113 away, balls of 2048 ± 181 (squared)"
    scores = prdc(real, wide, k=5, replicates=0)
    for score, expected in {"precision": 0.0, "recall": 1.0, "density": 0.0, "coverage": 0.0}.items():
        yield exact(score, expected, scores.value(score), inside if score == "recall" else outside)
    yield exact("authenticity", 1.0, authenticity(real, wide).value, outside)


def few_directions(place: Place) -> Iterator[Check]:
    """Metrics that look at directions, on sets that have one or a few of them."""
    lengths = 1 + numpy_generator("selftest", "lengths").random(200)
    axes = np.tile(np.eye(8)[:5], (40, 1)) * lengths[:, None]
    one, other = place(axes[::5].copy()), place(axes[1::5].copy())
    yield exact("Vendi score", 5.0, vendi(place(axes)).value, "5 orthogonal directions, equally often", RELATIVE)
    yield exact("Vendi score", 1.0, vendi(one).value, "one direction", RELATIVE)
    yield exact("CMMD", 2 * SCALE * (1 - math.exp(-1 / SIGMA**2)), cmmd(one, other).value,
                "2 · 1000 · (1 - exp(-2/2σ²)) for two orthogonal directions", RELATIVE)  # fmt: skip
    angle, square = 0.3, float(lengths.mean() ** 2 + lengths.var(ddof=1))
    train, turned = np.outer(lengths, [1.0, 0.0]), np.outer(lengths, [math.cos(angle), math.sin(angle)])
    found = mifid(place(train), place(turned))
    yield exact("memorisation distance", 1 - math.cos(angle), found.distance, "1 - cos of the angle turned", RELATIVE)
    yield exact("MiFID", 2 * square, found.value, "2(1 - cos)(mean² + variance) over 1 - cos", RELATIVE * 2 * square)
