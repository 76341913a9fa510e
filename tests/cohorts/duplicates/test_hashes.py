import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synthassay.cohorts.duplicates.hashes import (
    BANDS,
    RADIUS,
    close_pairs,
    distances,
    hashes_of,
    thumbnails,
    turned_hashes,
)
from synthassay.cohorts.duplicates.turns import TURNS, Turn


def pictures(n: int, channels: int = 1, size: int = 64) -> np.ndarray:
    """``[n, c, size, size]`` smooth random float32."""
    noise = np.random.default_rng(7).normal(size=(n, channels, size, size))
    return gaussian_filter(noise, (0, 0, 2, 2)).astype(np.float32)


def test_thumbnails_multiply_to_the_correlation_of_their_pixels():
    images = pictures(4)
    thumbs = thumbnails(images)
    small = images[:, 0].reshape(4, 32, 2, 32, 2)
    assert thumbs.shape == (4, 1024)
    np.testing.assert_allclose(thumbs @ thumbs.T, np.corrcoef(thumbs), atol=1e-5)
    assert abs(np.corrcoef(small.mean((2, 4)).reshape(4, -1))[0, 1] - thumbs[0] @ thumbs[1]) < 0.05


def test_an_image_of_one_value_has_no_thumbnail_whatever_the_value():
    values = np.array([0.0, 1.0, 1234.56, -3e4], np.float32)
    assert not thumbnails(np.broadcast_to(values[:, None, None, None], (4, 1, 40, 40))).any()


def test_brightness_contrast_and_channels_leave_the_hash_as_it_is():
    images = pictures(6)
    plain = hashes_of(thumbnails(images))
    assert distances(plain, hashes_of(thumbnails(3 * images - 700))).max() <= 1
    assert distances(plain, hashes_of(thumbnails(np.repeat(images, 3, axis=1)))).max() <= 1


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_the_hash_of_a_turned_image_follows_from_that_of_the_image(turn):
    images = pictures(20)
    thumbs, turned = thumbnails(images), thumbnails(turn.of(images))
    assert distances(turned_hashes(hashes_of(thumbs), turn), hashes_of(turned)).max() <= 2
    np.testing.assert_allclose(turn.of(thumbs.reshape(-1, 32, 32)).reshape(-1, 1024), turned, atol=1e-5)


def test_the_eight_turns_are_eight_and_quarter_turns_turn():
    images = [turn.of(np.arange(9).reshape(3, 3)).ravel().tolist() for turn in TURNS]
    assert len({tuple(image) for image in images}) == 8
    square = np.arange(9).reshape(3, 3)
    assert np.array_equal(Turn(transposed=True, left_right=True).of(square), np.rot90(square, -1))
    assert {turn.name for turn in TURNS if np.array_equal(turn.of(square), np.rot90(square, 2))} == {"turned by half"}


def test_every_pair_within_the_radius_is_found_once_and_no_other():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 1 << 16, (300, BANDS)).astype(np.uint16)
    for row in range(150, 300):  # each is another hash with 0 to 24 bits flipped, at any place
        bits = np.unpackbits(hashes[row - 150].view(np.uint8))
        bits[rng.choice(256, rng.integers(0, 25), replace=False)] ^= 1
        hashes[row] = np.packbits(bits).view(np.uint16)
    all_pairs = np.array(np.triu_indices(300, 1))
    apart = distances(hashes[all_pairs[0]], hashes[all_pairs[1]])
    expected = all_pairs[:, apart <= RADIUS]
    assert 0 < expected.shape[1] < 150
    np.testing.assert_array_equal(np.array(close_pairs(hashes)), expected)


def test_blocks_do_not_change_what_is_found(monkeypatch):
    hashes = np.random.default_rng(1).integers(0, 3, (200, BANDS)).astype(np.uint16)  # crowded bands
    whole = close_pairs(hashes, Turn(left_right=True))
    monkeypatch.setattr("synthassay.cohorts.duplicates.hashes.BLOCK", 64)
    np.testing.assert_array_equal(np.array(close_pairs(hashes, Turn(left_right=True))), np.array(whole))


def test_no_images_have_no_pairs():
    assert [len(rows) for rows in close_pairs(np.zeros((0, BANDS), np.uint16))] == [0, 0]
