"""Preparation: each resize rule is the one it is named after, and grey is RGB with equal channels."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as tv

from synthassay.features.preparation import RESIZES, Preparation, PreparedNetwork

SIZES = [((40, 40), 299), ((64, 48), 56), ((300, 300), 299), ((299, 299), 299)]


def grey(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, size).astype(np.float32)


@pytest.mark.parametrize(("size", "side"), SIZES)
def test_pil_bicubic_is_pils_on_floats(size, side):
    pixels = grey(size)
    expected = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))
    found = RESIZES["pil-bicubic"](torch.from_numpy(pixels)[None, None], side)[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)  # of 255


@pytest.mark.parametrize(("size", "side"), SIZES)
def test_antialiased_bilinear_is_torchvisions(size, side):
    pixels = torch.from_numpy(grey(size))[None, None]
    expected = tv.resize(pixels, [side, side], tv.InterpolationMode.BILINEAR, antialias=True)
    torch.testing.assert_close(RESIZES["torch-bilinear-antialias"](pixels, side), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("size", "side"), SIZES)
def test_tf1_bilinear_takes_the_pixel_at_the_upper_left(size, side):
    """TensorFlow 1: the place of pixel i in the image is i times the ratio of the sides, with no half pixel."""
    pixels = grey(size)
    places = [np.arange(side) * (length / side) for length in size]
    low = [np.floor(p).astype(int) for p in places]
    high = [np.minimum(lo + 1, length - 1) for lo, length in zip(low, size, strict=True)]
    y, x = (p - lo for p, lo in zip(places, low, strict=True))
    top = pixels[low[0]][:, low[1]] * (1 - x) + pixels[low[0]][:, high[1]] * x
    bottom = pixels[high[0]][:, low[1]] * (1 - x) + pixels[high[0]][:, high[1]] * x
    expected = top * (1 - y[:, None]) + bottom * y[:, None]
    found = RESIZES["tf1-bilinear"](torch.from_numpy(pixels)[None, None], side)[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=0.02)  # of 255: the places are float32


def test_the_rules_differ_from_each_other():
    pixels = torch.from_numpy(grey((64, 64)))[None, None]
    found = [rule(pixels, 40) for rule in RESIZES.values()]
    assert all((a - b).abs().mean() > 1 for i, a in enumerate(found) for b in found[:i])


def prepared(images, **settings):
    return PreparedNetwork(Preparation(resolution=20, **settings), nn.Identity())(images)


def test_images_are_resized_bounded_and_normalised_in_this_order():
    images = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0)).round()  # overshoots when resized
    raw = RESIZES["pil-bicubic"](images, 20)
    assert raw.min() < 0
    assert raw.max() > 1
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    torch.testing.assert_close(prepared(images), (raw.clamp(0, 1) - mean) / deviation)


def test_grey_is_rgb_with_equal_channels():
    images = torch.rand(2, 1, 32, 32)
    for channels in ("rgb", "bgr"):
        colour = prepared(images.expand(-1, 3, -1, -1).contiguous(), channels=channels)
        torch.testing.assert_close(prepared(images, channels=channels), colour)


def test_bgr_is_the_reverse_order_and_grey_the_mean():
    images = torch.rand(2, 3, 20, 20)
    one = {"mean": (0.0,) * 3, "deviation": (1.0,) * 3}
    torch.testing.assert_close(prepared(images, channels="bgr", **one), images.flip(1))
    averaged = prepared(images, channels="grey", mean=(0.5,), deviation=(0.5,))
    torch.testing.assert_close(averaged, 2 * images.mean(1, keepdim=True) - 1)


def test_every_field_changes_the_identity():
    base = {"resolution": 20, "resize": "pil-bicubic", "channels": "rgb", "mean": (0.5,) * 3, "deviation": (0.5,) * 3}
    others = {
        "resolution": 24,
        "resize": "tf1-bilinear",
        "channels": "bgr",
        "mean": (0.4,) * 3,
        "deviation": (1.0,) * 3,
    }
    for name, value in others.items():
        assert Preparation(**base | {name: value}).parts() != Preparation(**base).parts()


def test_cubic_filters_without_antialiasing_are_not_meant():
    """torch's plain bicubic has another kernel (a = -0.75), so a slip would show."""
    pixels = torch.from_numpy(grey((40, 40)))[None, None]
    plain = F.interpolate(pixels, size=(299, 299), mode="bicubic", align_corners=False)
    assert (plain - RESIZES["pil-bicubic"](pixels, 299)).abs().max() > 5
