"""The pairs of feature sets that metrics are compared on with outside implementations."""

import numpy as np

KINDS = ("plain", "duplicates", "constant columns", "float16")


def feature_pair(n, m, d, kind):
    """``[n, d]`` and ``[m, d]`` features with decaying scales, as encoders give them; ``kind`` is one of ``KINDS``."""
    random = np.random.default_rng(n + m + d)
    scales = 1 / np.sqrt(1 + np.arange(d))
    real = random.standard_normal((n, d)) * scales + 0.5
    synthetic = 1.2 * random.standard_normal((m, d)) * scales + 0.6
    if kind == "duplicates":
        real[1::2], synthetic[1::2] = real[: len(real) // 2 * 2 : 2], synthetic[: len(synthetic) // 2 * 2 : 2]
        synthetic[:5] = real[: len(synthetic[:5])]
    if kind == "constant columns":
        real[:, : d // 4] = synthetic[:, : d // 4] = 2.0
    dtype = np.float16 if kind == "float16" else np.float64
    return real.astype(dtype), synthetic.astype(dtype)


def double(*sets):
    """The same values in double precision, for implementations that would add up float16 numbers."""
    return [features.astype(np.float64) for features in sets]
