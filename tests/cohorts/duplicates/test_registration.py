import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter

from synthassay.cohorts.duplicates.registration import agreement, best_shift


def squares(n: int, seed: int = 0) -> np.ndarray:
    """``[n, 32, 32]`` float32 with structures of a few pixels."""
    noise = np.random.default_rng(seed).normal(size=(n, 32, 32))
    return gaussian_filter(noise, (0, 1.2, 1.2)).astype(np.float32)


def moved(images: np.ndarray, stretch: tuple[float, float], shift: tuple[float, float]) -> np.ndarray:
    """Each image sampled at ``stretch`` times the place from the centre, plus ``shift``."""
    matrix = np.diag(stretch)
    offset = 15.5 - matrix @ [15.5, 15.5] + shift
    return np.stack([affine_transform(image, matrix, offset, order=1) for image in images]).astype(np.float32)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-5, 4)])
def test_the_shift_between_two_images_is_found(shift):
    images = squares(8)
    found, correlation = best_shift(images, np.roll(images, shift, axis=(1, 2)))
    assert (found == shift).all()
    assert (correlation > 0.5).all()


@pytest.mark.parametrize(("stretch", "shift"), [((1, 1), (2.4, -1.3)), ((0.9, 1.1), (0, 0)), ((1.1, 1), (1.5, 0.5))])
def test_an_image_agrees_with_itself_moved_whatever_its_brightness(stretch, shift):
    images = squares(12)
    found = agreement(images, 4 * moved(images, stretch, shift) - 7)
    assert (found.correlation > 0.98).all()
    assert (found.detail > 0.97).all()
    assert (found.overlap > 0.7).all()


def test_other_images_do_not_agree():
    found = agreement(squares(40, 1), squares(40, 2))
    assert (found.detail < 0.6).all()


def test_details_of_a_blob_are_spread_over_few_pixels():
    rows, columns = np.indices((32, 32)) - 15.5
    dot = np.exp(-(rows**2 + columns**2) / 2)[None].astype(np.float32)
    assert agreement(dot, dot).spread[0] < 40 < agreement(squares(1), squares(1)).spread[0]
    flat = np.zeros((1, 32, 32), np.float32)
    assert agreement(flat, flat).spread[0] == 0
