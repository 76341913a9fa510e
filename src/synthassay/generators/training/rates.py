"""Learning rates over a training."""

import math

from synthassay.generators.specs import TrainingSpec


def inverse_square_root(reference: float, step: int, *, constant_steps: int, warmup_steps: int) -> float:
    """EDM2's rate at ``step`` (from 0): a linear warm-up, ``reference``, then reference / √(t / constant_steps).

    α(t) = α_ref / √max(t / t_ref, 1) (Karras et al. 2024, arXiv 2312.02696, equation 67). It has no end: the power-
    function average takes the place of a rate that falls to 0. ``constant_steps`` 0 does not decay.
    """
    done = step + 1
    decay = max(1.0, done / constant_steps) if constant_steps else 1.0
    return reference * warm_up(step, warmup_steps) / math.sqrt(decay)


def warm_up(step: int, steps: int) -> float:
    """What the rate at ``step`` (from 0) is multiplied by: it rises to 1 linearly over ``steps``."""
    return min(1.0, (step + 1) / steps) if steps else 1.0


def learning_rate(spec: TrainingSpec, step: int) -> float:
    """The rate at ``step`` (from 0): a linear warm-up, then constant, or falling.

    ``cosine`` reaches 0 after the last step; ``inverse-sqrt`` is :func:`inverse_square_root`.
    """
    if spec.schedule == "inverse-sqrt":
        return inverse_square_root(
            spec.learning_rate, step, constant_steps=spec.constant_steps, warmup_steps=spec.warmup_steps
        )
    warm = spec.learning_rate * warm_up(step, spec.warmup_steps)
    return warm if spec.schedule == "constant" else warm * 0.5 * (1 + math.cos(math.pi * step / spec.steps))
