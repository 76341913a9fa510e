"""Distances between Gaussians N(0, I) and N(μ, σ²I), in closed form, and one case by hand."""

import math
from collections.abc import Iterator

import numpy as np

from synthassay.metrics.frd import frd
from synthassay.metrics.frechet import frechet_distance
from synthassay.metrics.frechet_infinity import frechet_infinity
from synthassay.metrics.kid import kid
from synthassay.metrics.kid_subsets import kid_subsets
from synthassay.metrics.points import Features
from synthassay.metrics.selftest.checks import (
    DRAWS,
    ERRORS,
    RELATIVE,
    Check,
    Place,
    exact,
    on_average,
    whitened,
)
from synthassay.seeding import numpy_generator

D, N, SCALE = 8, 400, 1.5
SHIFT = np.full(D, 0.25)
GAP = float(SHIFT @ SHIFT)
DISTANCE = GAP + D * (1 - SCALE) ** 2
MANY = 20_000  # where a standard error is its limit but for about 1 part in 1,000
EXTRAPOLATED = 2000  # images a side for FD∞, whose smallest count is a tenth


def drawn(n: int, generator: np.random.Generator, place: Place) -> tuple[Features, Features]:
    """``n`` rows of N(0, I) and of N(μ, σ²I)."""
    return place(generator.standard_normal((n, D))), place(SHIFT + SCALE * generator.standard_normal((n, D)))


def _bias_real(n: int) -> float:
    """What n rows of N(0, I) add to the expected Fréchet distance, to the order 1/n.

    The mean's variance, d/n, and for the covariance S the expected σ/4 |S - I|², which is σ d(d+1)/4(n-1) for Wishart
    S, since tr√(S₁S₂) = (tr S₁ + tr S₂)/2 - |S₁ - S₂|²/8 near the identity.
    """
    return D / n + SCALE * D * (D + 1) / (4 * (n - 1))


def _bias_synthetic(n: int) -> float:
    return SCALE**2 * D / n + SCALE * D * (D + 1) / (4 * (n - 1))


def _standard_error(n: int) -> float:
    """Of the Fréchet distance at n rows a side: influences ∓2μᵀx + (1-σ)|x|² and 2μᵀy + (1-1/σ)|y-μ|²."""
    linear = 4 * GAP * (1 + SCALE**2)
    quadratic = 2 * D * ((1 - SCALE) ** 2 + (1 - 1 / SCALE) ** 2 * SCALE**4)
    return math.sqrt((linear + quadratic) / n)


def kid_of_moments() -> float:
    """From the binomial terms of the kernel (x·y/d + 1)³: the squared differences of the first three moments."""
    excess, square = SCALE**2 - 1, SCALE**2
    first = 3 / D * GAP
    second = 3 / D**2 * (D * excess**2 + 2 * excess * GAP + GAP**2)
    third = (GAP**3 + 6 * square * GAP**2 + square**2 * (3 * D + 6) * GAP) / D**3
    return first + second + third


def two_gaussians(place: Place) -> Iterator[Check]:
    """Samples with exactly the moments of the two Gaussians, and samples drawn from them."""
    generator = numpy_generator("selftest", "two Gaussians")
    yield from _exact_moments(place, generator)
    yield from _frechet_of_draws(place, generator)
    theory, pairs = "moments: 3/d |m₁|² + 3/d² |m₂|² + 1/d³ |m₃|²", [drawn(N, generator, place) for _ in range(DRAWS)]
    yield on_average("kid", kid_of_moments(), (kid(*pair).value for pair in pairs), theory)
    subsets = (kid_subsets(*pair, subsets=10, size=N // 4).value for pair in pairs[: DRAWS // 2])
    yield on_average("KID, subsets", kid_of_moments(), subsets, theory)


def _exact_moments(place: Place, generator: np.random.Generator) -> Iterator[Check]:
    x, y = place(whitened(N, D, generator)), place(SHIFT + SCALE * whitened(N, D, generator))
    lost = RELATIVE * D * (1 + SCALE**2)
    yield exact("frechet_distance", DISTANCE, frechet_distance(x, y).value,
                "|μ|² + d(1-σ)², for samples of exactly these moments", lost)  # fmt: skip
    yield exact("frd", math.log(DISTANCE * N / (N - 1)), frd(x, y).value,
                "log of the same, in standard deviations that have n", lost / DISTANCE)  # fmt: skip
    few = generator.standard_normal((40, 64))
    yield exact("Fréchet distance, n < d", 64 * 0.5**2, frechet_distance(place(few), place(few + 0.5)).value,
                "|μ|², for a set and the same set moved by μ", RELATIVE * 2 * 64)  # fmt: skip


def _frechet_of_draws(place: Place, generator: np.random.Generator) -> Iterator[Check]:
    found = [frechet_distance(*drawn(N, generator, place)).value for _ in range(DRAWS)]
    yield exact("Fréchet distance, drawn", DISTANCE + _bias_real(N) + _bias_synthetic(N), float(np.mean(found)),
                f"|μ|² + d(1-σ)² and its bias at n = {N}; mean of {DRAWS} draws",
                ERRORS * _standard_error(N) / math.sqrt(DRAWS))  # fmt: skip
    errors = [frechet_distance(*drawn(MANY, generator, place)).standard_error for _ in range(DRAWS // 10)]
    yield on_average("its standard error", _standard_error(MANY), errors, f"influence of Gaussians, n = {MANY:,}")
    infinite = [frechet_infinity(*drawn(EXTRAPOLATED, generator, place)).value for _ in range(DRAWS // 5)]
    yield on_average("FD∞", DISTANCE + _bias_real(EXTRAPOLATED), infinite, "|μ|² + d(1-σ)² and the real side's bias")


def by_hand(place: Place) -> Iterator[Check]:
    """KID of {0, 1} and {0, 2}, whose kernel values are 1, 1 and (1, 1, 1, 27)."""
    real, synthetic = place(np.array([[0.0], [1.0]])), place(np.array([[0.0], [2.0]]))
    theory = "1 + 1 - 2 · (1 + 1 + 1 + 27)/4, unbiased"
    yield exact("kid", -13.0, kid(real, synthetic).value, theory, RELATIVE)
    yield exact("KID, subsets", -13.0, kid_subsets(real, synthetic).value, theory, RELATIVE)
