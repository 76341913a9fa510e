"""MS-SSIM of pairs equals pytorch-msssim's, and with one scale scikit-image's SSIM."""

import numpy as np
import pytest
import torch
from pytorch_msssim import ms_ssim
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from synthassay.metrics import ms_ssim as ours


def pictures(n, side, seed=0):
    fields = gaussian_filter(np.random.default_rng(seed).standard_normal((n, 1, side, side)), (0, 0, 2, 2))
    return np.clip((fields * 3 + 0.5) * 255, 0, 255).astype(np.uint8)


def similar(n, side):
    """Pairs of images, [n, 1, side, side] each: from nearly equal to unrelated."""
    first, other = pictures(n, side), pictures(n, side, seed=1)
    share = np.linspace(0.02, 1, n)[:, None, None, None]
    return first, ((1 - share) * first + share * other).astype(np.uint8)


def values(first, second):
    pixels, n = np.concatenate([first, second]), len(first)
    left, right = np.arange(n), np.arange(n) + n
    return np.concatenate(list(ours._similarities(pixels, left, right, "cpu")))


def test_five_scales():
    first, second = similar(6, 192)
    expected = ms_ssim(*(torch.from_numpy(x).float() for x in (first, second)), data_range=255, size_average=False)
    np.testing.assert_allclose(values(first, second), expected.numpy(), atol=2e-5)
    assert np.ptp(expected.numpy()) > 0.3


@pytest.mark.parametrize("scales", [2, 3, 4])
def test_fewer_scales_with_the_same_weights(scales, monkeypatch):
    # pytorch-msssim refuses images under 161 pixels whatever the scales, so both get larger ones here.
    monkeypatch.setattr(ours, "scales_for", lambda pixels: scales)
    first, second = similar(5, 176)
    expected = ms_ssim(*(torch.from_numpy(x).float() for x in (first, second)), data_range=255, size_average=False,
                       weights=list(ours.scale_weights(scales)))  # fmt: skip
    np.testing.assert_allclose(values(first, second), expected.numpy(), atol=2e-5)


def test_one_scale_is_the_ssim():
    first, second = similar(8, 20)
    expected = [
        structural_similarity(a[0], b[0], data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        for a, b in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(values(first, second), np.clip(expected, 0, 1), atol=2e-5)
