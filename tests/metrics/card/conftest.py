"""Real images that never existed: patients at sites, with planted differences."""

from collections.abc import Callable

import numpy as np
import pytest

from synthassay.metrics.card.subject import Subject
from synthassay.records import ImageSet


def real_images(
    homes: list[str], each: int = 3, *, brighter: str = "", ill: list[bool] | None = None, size: int = 16,
    ages: list[float] | None = None, sexes: list[str] | None = None, dtype: type = np.uint8, seed: int = 0,
    device: list[str] | None = None, own_pattern: float = 0.0,
) -> ImageSet:  # fmt: skip
    """``each`` images of each patient; ``homes[i]`` is the site of patient i. ``brighter``: a site 20% brighter.

    ``own_pattern``: strength of a texture that all images of one patient share.
    """
    rng = np.random.default_rng(seed)
    n = len(homes)
    grey = rng.normal(0.4, 0.08, (n, each, 1, size, size)) + rng.normal(0, 0.03, (n, 1, 1, 1, 1))
    grey += own_pattern * rng.normal(size=(n, 1, 1, size, size))
    grey *= np.where(np.array(homes) == brighter, 1.2, 1.0)[:, None, None, None, None]
    top = np.iinfo(dtype).max

    def repeated(values: list, kind: str | type) -> np.ndarray:
        return np.repeat(np.array(values, dtype=kind), each)

    return ImageSet(
        name="real/x", origin="real", pixels=(np.clip(grey, 0, 1) * top).astype(dtype).reshape(-1, 1, size, size),
        ids=np.arange(n * each).astype(str), patients=repeated([f"p{i}" for i in range(n)], np.str_),
        labels=repeated([False] * n if ill is None else ill, np.int64), label_names=("well", "ill"),
        groups={"site": repeated(homes, np.str_), "device": repeated(device or [""] * n, np.str_),
                "sex": repeated(sexes or ["F"] * n, np.str_)},
        covariates={"age": repeated(ages or [50.0] * n, np.float32)},
    )  # fmt: skip


@pytest.fixture
def make_images() -> Callable[..., ImageSet]:
    return real_images


@pytest.fixture
def make_subject() -> Callable[..., Subject]:
    def make(*args, facts=None, **kwargs) -> Subject:
        return Subject(real_images(*args, **kwargs), facts or {})

    return make
