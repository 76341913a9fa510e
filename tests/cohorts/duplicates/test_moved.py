"""Planted copies that were turned, shifted, cropped, padded and encoded again."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from synthassay.cohorts.duplicates import moved
from synthassay.cohorts.duplicates.frames import framed
from synthassay.cohorts.duplicates.moved import Moved
from synthassay.cohorts.duplicates.spectra import spectra_of, turned_spectra
from synthassay.cohorts.duplicates.turns import TURNS
from synthassay.records import SilentProgress

PICTURES, COPIED = 120, 24


def pictures() -> np.ndarray:
    """``[n, 64, 64]`` uint8: a body of one form for all before a dark background, with other structures in each."""
    rng = np.random.default_rng(5)
    fine, coarse = (gaussian_filter(rng.normal(size=(PICTURES, 64, 64)), (0, width, width)) for width in (1.5, 5))
    rows, columns = np.indices((64, 64)) - 31.5
    body = (rows / 27) ** 2 + (columns / 22) ** 2 < 1
    return np.uint8(np.clip(130 + 160 * fine + 400 * coarse, 40, 255) * body)


def scaled(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR))


def encoded(image: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=70)
    return np.asarray(Image.open(stream))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda image: image,
    "shifted": lambda image: np.roll(image, (3, -3), (0, 1)),
    "padded": lambda image: scaled(np.pad(image, 6)),
    "in a white frame": lambda image: scaled(np.pad(image, 6, constant_values=255)),
    "padded on two sides": lambda image: scaled(np.pad(image, ((0, 9), (5, 0)))),
    "cropped": lambda image: scaled(image[3:-3, 3:-3]),
}


def found(images: np.ndarray, patients: np.ndarray) -> list[moved.Double]:
    search = Moved()
    for start in range(0, len(images), 50):
        search.add(images[start : start + 50, None].astype(np.float32))
    return search.doubles(np.arange(len(images)), patients, 1, SilentProgress())[0]


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found_under_every_turn_and_nothing_else(change):
    originals = pictures()
    turns = [TURNS[number % len(TURNS)] for number in range(COPIED)]
    copies = [encoded(turn.of(CHANGES[change](image))) for turn, image in zip(turns, originals, strict=False)]
    pairs = found(np.stack([*originals, *copies]), np.arange(PICTURES + COPIED))
    planted = {(number, PICTURES + number): turn.name for number, turn in enumerate(turns)}
    assert {(pair.first, pair.second): pair.turn for pair in pairs} == planted
    assert all(pair.moved for pair in pairs)


def test_independent_images_and_copies_of_ones_own_are_no_doubles():
    originals = pictures()
    own = np.stack([np.roll(image, 3, 0) for image in originals])
    assert found(np.concatenate([originals, own]), np.tile(np.arange(PICTURES), 2)) == []
    assert found(originals, np.zeros(PICTURES, np.int64)) == []


def test_a_frame_that_all_have_makes_no_doubles():
    framed_in_white = np.stack([CHANGES["in a white frame"](image) for image in pictures()])
    assert found(framed_in_white, np.arange(PICTURES)) == []


def test_images_among_their_own_kind_only_have_no_doubles():
    many = np.concatenate([np.roll(image, 0, 0)[None] + np.arange(20, dtype=np.uint8)[:, None, None] // 10
                           for image in pictures()[:2]])  # fmt: skip
    assert found(many, np.repeat([0, 1], 20)) == []


def test_blocks_do_not_change_what_is_found(monkeypatch):
    images = pictures()
    images[60:70] = np.roll(images[:10], 2, 2)
    whole = found(images, np.arange(PICTURES))
    monkeypatch.setattr(moved, "BLOCK", 7)
    assert found(images, np.arange(PICTURES)) == whole
    assert len(whole) == 10


def test_a_dark_margin_is_left_out_and_what_is_mostly_margin_altogether():
    image = pictures()[0].astype(np.float32)
    plain, padded = framed(image[None, None]), framed(np.pad(image, 6)[None, None])
    assert (plain * padded).sum() > 0.98
    small = np.pad(image[16:40, 16:40], 20)
    assert not framed(small[None, None]).any()


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_spectra_of_turned_images_follow_from_those_of_the_images(turn):
    thumbs = framed(pictures()[:9, None].astype(np.float32))
    turned = spectra_of(turn.of(thumbs.reshape(-1, 32, 32)).reshape(-1, 1024))
    mirrored = turn.left_right != turn.up_down
    np.testing.assert_allclose(turned_spectra(spectra_of(thumbs), turn.transposed, mirrored), turned, atol=2e-3)
