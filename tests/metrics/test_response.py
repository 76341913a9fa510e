"""The change with a condition against the change with the seed, on images made to have both."""

import numpy as np
import pytest

from synthassay.metrics.response import response


def made(condition: int, seeds: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Flat images: the seed sets the level (0 or 40 above), value k of the condition adds k·condition."""
    base = 60 + np.arange(seeds)
    images = np.stack([base + k * condition for k in range(3)], 1)[..., None, None, None]
    again = (base + 40)[:, None, None, None]
    shape = (1, 4, 4)
    return (np.broadcast_to(images, (seeds, 3, *shape)).astype(np.uint8),
            np.broadcast_to(again, (seeds, *shape)).astype(np.uint8))  # fmt: skip


def test_the_share_is_the_ratio_of_both_changes() -> None:
    found = response(*made(condition=10), reference=0)
    assert found.change == pytest.approx(15 / 255)  # the mean of 10 and 20
    assert found.other == pytest.approx(40 / 255)
    assert found.share == pytest.approx(15 / 40)
    assert found.interval.ends() == pytest.approx((15 / 40, 15 / 40))
    assert response(*made(condition=10), reference=1).share == pytest.approx(10 / 30)  # 30 from the reference to again


def test_who_ignores_the_condition_has_no_share_and_who_ignores_the_seed_no_ratio() -> None:
    assert response(*made(condition=0), reference=0).share == 0.0
    images, _ = made(condition=10)
    found = response(images, images[:, 0].copy(), reference=0)
    assert found.share is None
    assert found.interval.low is None
    assert "same image" in found.interval.note


def test_the_interval_covers_the_ratio_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        other = random.uniform(20, 60, 10)
        change = 0.3 * other + random.normal(0, 2, 10)
        images = np.zeros((10, 2, 1), np.uint16)
        images[:, 1, 0] = np.rint(100 * change)
        again = np.rint(100 * other).astype(np.uint16)[:, None]
        low, high = response(images, again, reference=0).interval.ends()
        covered += low <= 0.3 <= high
    assert 0.9 <= covered / 300 <= 0.99
