import io
import struct

import numpy as np
import pytest
from PIL import Image

from synthassay.scans.limits import LimitSpec
from synthassay.scans.pictures import read_pictures
from synthassay.scans.unreadable import Unreadable

COLOUR = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
GREY = COLOUR[..., 0]
WHITE = {262: 0}  # PhotometricInterpretation: white is zero


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


RAMP = np.arange(30, dtype=np.uint16).reshape(5, 6) * 2000


@pytest.mark.parametrize(("values", "tag", "expected"), [
    (GREY, WHITE, GREY),  # Pillow inverts these when it writes them
    (RAMP, WHITE, 255 - RAMP / 257), (RAMP, {}, RAMP / 257), (RAMP.astype(np.int32) - 7000, {}, RAMP - 7000.0),
])  # fmt: skip
def test_tiffs_whose_zero_is_white_are_inverted(values, tag, expected):
    image = Image.fromarray(values)
    (picture,) = read_pictures(stored(image, "TIFF", tiffinfo=tag), LimitSpec())
    assert np.allclose(picture.values, expected, rtol=1e-6)


def test_unsigned_values_do_not_overflow():
    content = stored(Image.fromarray(RAMP.astype(np.int32) * 60_000), "TIFF").getvalue()  # up to 3.5 * 10 ** 9
    signed, unsigned = (struct.pack("<HHIH", 339, 3, 1, kind) for kind in (2, 1))  # SampleFormat
    assert signed in content
    (picture,) = read_pictures(io.BytesIO(content.replace(signed, unsigned)), LimitSpec())
    assert np.allclose(picture.values, RAMP * 60_000.0)


def test_signed_values_of_8_bits_are_kept():
    content = stored(Image.fromarray(np.array([[0, 127, 128, 255]], np.uint8)), "TIFF", tiffinfo={339: 2}).getvalue()
    (picture,) = read_pictures(io.BytesIO(content), LimitSpec())
    assert (picture.values.tolist(), picture.bits) == ([[0, 127, -128, -1]], 32)


def test_floats_whose_zero_is_white_are_refused():
    with pytest.raises(Unreadable, match="which of its 32-bit values would be black"):
        read_pictures(stored(Image.fromarray(GREY.astype(np.float32)), "TIFF", tiffinfo=WHITE), LimitSpec())


def palette(*colours):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette(np.array(colours, np.uint8).ravel().tolist())
    return image


@pytest.mark.parametrize(("image", "expected"), [
    (Image.fromarray(np.array([[0, 1, 2]], np.uint16)), [[0, 1, 2]]),
    (palette((0, 0, 0), (128, 0, 0), (0, 128, 0)), [[0, 1, 2]]),
    (palette((255, 255, 255), (0, 0, 0), (7, 7, 7)), [[255, 0, 7]]),  # greys that were packed
])  # fmt: skip
def test_masks_keep_the_numbers_of_their_classes(image, expected):
    (picture,) = read_pictures(stored(image), LimitSpec(), masks=True)
    values = picture.values if picture.values.ndim == 2 else picture.values.max(axis=2)
    assert values.tolist() == expected


@pytest.mark.parametrize("used", [(0, 7), (1, 7), (0, 1)])
def test_a_class_has_one_number_whatever_other_classes_a_mask_shows(used):
    colours = [(128 * (n & 1), 64 * (n & 2), 32 * (n & 4)) for n in range(8)]  # as in PASCAL VOC: the last is grey
    image = Image.fromarray(np.array([used], np.uint8), "P")
    image.putpalette(np.array(colours, np.uint8).ravel().tolist())
    (picture,) = read_pictures(stored(image), LimitSpec(), masks=True)
    assert picture.values.tolist() == [list(used)]


def test_a_coloured_mask_whose_background_is_not_known_is_refused():
    with pytest.raises(Unreadable, match="background first"):
        read_pictures(stored(palette((9, 0, 0), (128, 0, 0), (0, 128, 0))), LimitSpec(), masks=True)


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
