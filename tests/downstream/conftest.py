"""Small images in which the finding is a bright square, and a specification that learns it in a second or two."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from synthassay.downstream.specs import AugmentationSpec, DownstreamSpec, IntervalSpec, ResNetSpec
from synthassay.records import ImageSet, Split
from synthassay.specs import Resources

SIZE = 16


@pytest.fixture
def cpu() -> Resources:
    return Resources(device="cpu", threads=1)


@pytest.fixture
def spec_of() -> Callable[..., DownstreamSpec]:
    return _toy_spec


@pytest.fixture
def images_of() -> Callable[..., ImageSet]:
    return _toy_images


def _toy_spec(**changes: Any) -> DownstreamSpec:
    defaults: dict[str, Any] = {
        "network": ResNetSpec(width=4, stem_kernel=3, stem_stride=1),
        "steps": 40,
        "batch_size": 16,
        "learning_rate": 1e-2,
        "seeds": (0,),
        "augmentation": AugmentationSpec(shift=1),
        "intervals": IntervalSpec(replicates=200),
    }
    return DownstreamSpec(**(defaults | changes))


def _toy_images(
    patients: int,
    seed: int,
    *,
    split: Split | None = None,
    per_patient: int = 2,
    prevalence: float = 0.4,
    labels: NDArray[np.int64] | None = None,
    prefix: str = "p",
) -> ImageSet:
    """``patients * per_patient`` images of noise, those with label 1 with a square; ``labels`` are told, not drawn."""
    rng = np.random.default_rng(seed)
    count = patients * per_patient
    truth = (rng.permutation(count) < round(prevalence * count)).astype(np.int64)
    pixels = rng.normal(90, 25, (count, 1, SIZE, SIZE))
    for row in np.flatnonzero(truth):
        y, x = rng.integers(3, SIZE - 8, 2)
        pixels[row, 0, y : y + 5, x : x + 5] += 90
    owners = np.repeat(np.arange(patients), per_patient)
    return ImageSet(
        name=f"toy/{split}",
        origin="real",
        pixels=pixels.clip(0, 255).astype(np.uint8),
        ids=np.array([f"{prefix}{seed}-{i}" for i in range(count)]),
        patients=np.array([f"{prefix}{seed}-{owner}" for owner in owners]),
        labels=truth if labels is None else labels,
        label_names=("none", "square"),
        groups={
            "site": np.array([("North", "South")[owner % 2] for owner in owners]),
            "device": np.array([("A", "B", "A")[owner % 3] for owner in owners]),
        },
        covariates={"slice_position": rng.random(count).astype(np.float32)},
        split=split,
    )
