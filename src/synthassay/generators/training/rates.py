"""Learning rates over a training."""

import math


def inverse_square_root(reference: float, step: int, *, constant_steps: int, warmup_steps: int) -> float:
    """EDM2's rate at ``step`` (from 0): a linear warm-up, ``reference``, then reference / √(t / constant_steps).

    α(t) = α_ref / √max(t / t_ref, 1) (Karras et al. 2024, arXiv 2312.02696, equation 67). It has no end: the power-
    function average takes the place of a rate that falls to 0. ``constant_steps`` 0 does not decay.
    """
    done = step + 1
    warm = min(1.0, done / warmup_steps) if warmup_steps else 1.0
    decay = max(1.0, done / constant_steps) if constant_steps else 1.0
    return reference * warm / math.sqrt(decay)
