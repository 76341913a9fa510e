"""Radiographs of different people look alike: drawn chests of one layout are no doubles, and copies of them are."""

import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from synthassay.cohorts.specs import DuplicateSpec

PATIENTS, COPIED, SIDE = 240, 30, 64


def chest(rng: np.random.Generator) -> np.ndarray:
    """``[64, 64]`` uint8: lungs, heart, spine, diaphragm, collar bones and ribs, each of this person's proportions."""

    def some(mean: float, spread: float) -> float:
        return mean + spread * rng.normal()

    def inside(distance: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-np.clip(22 * distance, -50, 50)))

    y, x = (np.indices((2 * SIDE, 2 * SIDE)) + 0.5) / SIDE - 1
    scale, x, y = some(1, 0.05), x - some(0, 0.03), y - some(0, 0.04)
    x, y = x / scale, y / scale + some(0, 0.03) * x
    body = inside(1 - (x / some(0.95, 0.04)) ** 2 - np.maximum(0, -0.55 - y) ** 2 * some(9, 1))
    image = 0.62 * body + some(0.2, 0.04) * inside(y - some(0.62, 0.06)) * body
    for side in (-1, 1):
        middle, half = some(0, 0.04), some(0.64, 0.05)
        lung = inside(1 - ((x - side * some(0.42, 0.025)) / some(0.31, 0.03)) ** 2 - (np.abs(y - middle) / half) ** 2.6)
        vessels = sum(
            gain * gaussian_filter(rng.normal(size=y.shape), width) for gain, width in ((0.05, 1.5), (0.12, 4))
        )
        image -= lung * (some(0.42, 0.04) - vessels)
        bone = np.exp(-(((y + some(0.66, 0.03) + some(0.18, 0.04) * side * x) / 0.045) ** 2))
        image += some(0.12, 0.03) * bone * (side * x > 0.08) * (side * x < 0.75)
    image += some(0.28, 0.03) * np.exp(-((x / some(0.14, 0.02)) ** 2)) * body
    heart = ((x - some(0.13, 0.04)) / some(0.27, 0.04)) ** 2 + ((y - some(0.33, 0.04)) / some(0.26, 0.03)) ** 2
    image += some(0.25, 0.04) * inside(1 - heart)
    ribs = np.sin(2 * np.pi * ((y + some(0.28, 0.04) * x**2) / some(0.19, 0.012) + rng.random()))
    image += some(0.045, 0.015) * ribs * body * (np.abs(x) > 0.12)
    small = image.reshape(SIDE, 2, SIDE, 2).mean((1, 3)) + rng.normal(0, 0.012, (SIDE, SIDE))
    return np.uint8(255 * np.clip(small / np.percentile(small, 99.5), 0, 1))


def encoded(image: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(stream, "JPEG", quality=70)
    return np.asarray(Image.open(stream))


CHANGES: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda image: image, lambda image: image[:, ::-1], lambda image: np.pad(image, 5),
    lambda image: np.pad(image, 5, constant_values=255), lambda image: np.pad(image, ((0, 4), (4, 0)))[4:, :-4],
)  # fmt: skip


@pytest.mark.parametrize("copied", [0, COPIED])
def test_only_copies_of_chests_are_doubles(copied, tmp_path, scans, prepare):
    rng = np.random.default_rng(8)
    images = [chest(rng) for _ in range(PATIENTS)]
    images += [encoded(CHANGES[number % len(CHANGES)](images[number])) for number in range(copied)]
    root = tmp_path / "chests"
    root.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(root / f"{number:04d}.png")
    names = [f"{number:04d}.png" for number in range(len(images))]
    pd.DataFrame({"path": names, "who": names, "bad": np.arange(len(names)) % 2, "years": 50}).to_csv(
        root / "table.csv", index=False
    )
    spec = scans.images_spec(size=SIDE, channels=1, duplicates=DuplicateSpec(near="report"))
    cohort = prepare(spec, root)
    (table,) = [table for table in cohort.tables if table.title == "Images under two patients"]
    assert sum(int(row[1]) for row in table.rows) == pytest.approx(copied, abs=0.1 * copied)
    (private,) = [*(tmp_path / "keys").glob("*.doubles.parquet")] or [None]
    pairs = pd.read_parquet(private)[["first_path", "second_path"]].to_numpy().tolist() if private else []
    assert {tuple(pair) for pair in pairs} <= {(f"{n:04d}.png", f"{PATIENTS + n:04d}.png") for n in range(copied)}
