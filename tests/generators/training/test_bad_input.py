"""Images that no generator was made for: each family trains on them, or says why not in one to three lines."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.generators.specs import GeneratorSpec
from synthassay.records import ImageSet, SilentProgress
from tests.generators.families import CPU, FAMILIES, family, fit, tiny, toy_images


def constant(images: ImageSet) -> ImageSet:
    return replace(images, pixels=np.full_like(images.pixels, 7), content_id="")


def resized(height: int, width: int, n: int = 4, channels: int = 1) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 255, (n, channels, height, width)).astype(np.uint8)
    return replace(toy_images(n), pixels=pixels, content_id="")


CASES = {
    "one image": (lambda: toy_images(1), None),
    "two images of a batch of eight": (lambda: toy_images(2), None),
    "constant images": (lambda: constant(toy_images(4)), "is constant"),
    "no image": (lambda: toy_images(4).take(np.zeros(0, np.int64)), "has no image"),
    "1x1": (lambda: resized(1, 1), "1×1.*multiples of"),
    "3x5": (lambda: resized(3, 5), "3×5.*multiples of"),
    "2x30": (lambda: resized(2, 30), "2×30.*multiples of"),
    "4x4": (lambda: resized(4, 4), None),
    "eight by four": (lambda: resized(8, 4), None),
    "nine channels": (lambda: resized(8, 8, channels=9), None),
}


def sampled(spec: GeneratorSpec, folder: Path) -> np.ndarray:
    return family(spec).load(folder, CPU).sample(np.arange(2), {"label": np.zeros(2, np.int64)})


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", FAMILIES)
def test_odd_images_are_trained_on_or_refused_in_words(kind: str, case: str, tmp_path: Path) -> None:
    make, refusal = CASES[case]
    images, spec = make(), tiny(kind, steps=2)
    if refusal is None:
        fit(spec, tmp_path, images)
        made = sampled(spec, tmp_path)
        assert made.shape == (2, *images.pixels.shape[1:])
        assert np.isfinite(made).all()
        return
    with pytest.raises(UserError, match=refusal) as refused:
        family(spec).fit(images, tmp_path, seed=0, resources=CPU, progress=SilentProgress())
    assert len(str(refused.value).splitlines()) <= 3
    assert not (tmp_path / "model.json").exists()
