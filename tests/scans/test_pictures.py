import io

import numpy as np
import pytest
from PIL import Image

from synthassay.scans.pictures import read_pictures
from synthassay.scans.unreadable import Unreadable

COLOUR = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
GREY = COLOUR[..., 0]


def stored(image: Image.Image, kind: str = "PNG", **options) -> io.BytesIO:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream


@pytest.mark.parametrize(
    ("image", "kind", "expected", "bits"),
    [
        (Image.fromarray(COLOUR), "PNG", COLOUR, 8),
        (Image.fromarray(GREY), "TIFF", GREY, 8),
        (Image.fromarray(GREY).convert("LA"), "PNG", GREY, 8),
        (Image.fromarray(GREY > 127), "PNG", np.where(GREY > 127, 255, 0), 8),
        (Image.fromarray(GREY.astype(np.uint16) * 257), "PNG", GREY, 16),
        (Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF", GREY, 16),
        (Image.fromarray(GREY.astype(np.float32) * 100 - 7), "TIFF", GREY.astype(np.float32) * 100 - 7, 32),
    ],
)
def test_depths_are_brought_to_0_to_255_and_floats_stay(image, kind, expected, bits):
    (picture,) = read_pictures(stored(image, kind), 1000, "limit")
    assert np.array_equal(picture.values, expected)
    assert (picture.values.dtype, picture.bits) == (np.float32, bits)


def test_the_limit_counts_all_pages_and_is_named():
    page = Image.fromarray(GREY)
    stream = stored(page, "TIFF", save_all=True, append_images=[page, page])
    assert len(read_pictures(stream, 90, "limit")) == 3
    with pytest.raises(Unreadable, match="more than generator.max_values; it was not decoded") as caught:
        read_pictures(stream, 89, "generator.max_values")
    assert caught.value.found == "90 values"


@pytest.mark.parametrize("kind", ["GIF", "BMP", "WEBP"])
def test_no_other_decoder_is_offered_a_file(kind):
    with pytest.raises(Unreadable, match="truncated or damaged"):
        read_pictures(stored(Image.fromarray(GREY), kind), 1000, "limit")
