import io

import numpy as np
import pytest
from PIL import Image

from synthassay.scans.limits import LimitSpec
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
    (picture,) = read_pictures(stored(image, kind), LimitSpec())
    assert np.array_equal(picture.values, expected)
    assert (picture.values.dtype, picture.bits) == (np.float32, bits)


@pytest.mark.parametrize(("limits", "found"), [({"voxels": 89}, "90 values"), ({"frames": 2}, "3")])
def test_the_limits_count_all_pages(limits, found):
    page = Image.fromarray(GREY)
    stream = stored(page, "TIFF", save_all=True, append_images=[page, page])
    assert len(read_pictures(stream, LimitSpec(voxels=90, frames=3))) == 3
    with pytest.raises(Unreadable, match=r"more .*than limits\.") as caught:
        read_pictures(stream, LimitSpec(**limits))
    assert caught.value.found == found


@pytest.mark.parametrize("kind", ["GIF", "BMP", "WEBP"])
def test_no_other_decoder_is_offered_a_file(kind):
    with pytest.raises(Unreadable, match="truncated or damaged"):
        read_pictures(stored(Image.fromarray(GREY), kind), LimitSpec())


@pytest.mark.parametrize("most", [100, 3000])  # 3000: between the warning and the error of Pillow
def test_far_too_many_pixels_are_not_decoded(tmp_path, monkeypatch, most):
    Image.new("L", (64, 64)).save(tmp_path / "z.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    with pytest.raises(Unreadable, match="far too many pixels"):
        read_pictures(tmp_path / "z.png", LimitSpec())
