"""MedicalNet: volumes only, one channel at a time, and on one scale unless asked otherwise."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from synthassay.errors import UserError
from synthassay.features.medicalnet import WEIGHTS, residual_network, resized_volumes, standardised
from synthassay.features.specs import MedicalNetSpec
from synthassay.features.weights import sha256_of
from synthassay.records import SilentProgress, identity_differences
from tests.features.sets import CPU, images


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """ResNet-10 as published: the state of a DataParallel under ``state_dict``."""
    torch.manual_seed(0)
    network = residual_network(10)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.normal_(module.running_mean, std=0.1)
    path = tmp_path_factory.mktemp("weights") / "resnet_10.pth"
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=False)
    return path


def encoder(weights, **settings):
    return MedicalNetSpec(depth=10, resolution=32, weights=str(weights), sha256=sha256_of(weights), **settings).build(
        CPU
    )


def volumes(n=3, channels=1, size=(20, 36, 40), dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (n, channels, *size)).astype(dtype)


def test_a_volume_has_the_same_features_in_any_company_and_depth_of_pixels(weights):
    subject = volumes()
    built = encoder(weights)
    features = built.encode_pixels(subject, SilentProgress(), "scans")
    assert features.shape == (3, built.dimension) == (3, 512)
    assert features.std() > 0
    alone = built.encode_pixels(subject[[2]], SilentProgress(), "scans")
    np.testing.assert_allclose(alone, features[[2]], atol=1e-5 * features.std())
    wide = built.encode_pixels(subject.astype(np.uint16) * 257, SilentProgress(), "scans")
    np.testing.assert_allclose(wide, features, atol=1e-5 * features.std())


def test_every_channel_is_encoded_by_itself(weights):
    subject = volumes(2, 3, (32, 32, 32))
    built = encoder(weights)
    found = built.encode_pixels(subject, SilentProgress(), "scans")
    single = [built.encode_pixels(subject[:, [c]], SilentProgress(), "scans") for c in range(3)]
    np.testing.assert_array_equal(found, np.hstack(single))


def test_images_are_refused(weights):
    with pytest.raises(UserError, match=r"set: found an array of shape \[5, 1, 48, 48\].*takes volumes"):
        encoder(weights).encode(images(), SilentProgress())


def test_a_shift_of_intensity_is_seen_on_the_fixed_scale_and_not_by_z_scores(weights):
    subject = np.random.default_rng(0).integers(1, 100, (2, 1, 32, 32, 32)).astype(np.uint8)
    brighter = (subject * 2).astype(np.uint8)
    moved = {}
    for intensity in ("fixed", "zscore"):
        built = encoder(weights, intensity=intensity)
        a, b = (built.encode_pixels(v, SilentProgress(), "scans") for v in (subject, brighter))
        moved[intensity] = np.abs(a - b).mean() / a.std()
    assert moved["zscore"] < 1e-3 < 0.1 < moved["fixed"]
    differences = identity_differences(encoder(weights).identity, encoder(weights, intensity="zscore").identity)
    assert [name for name, *_ in differences] == ["normalisation"]


def test_z_scores_are_those_of_the_voxels_above_zero():
    scans = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (2, 1, 4, 5, 6)).astype(np.float32))
    found = standardised(scans)
    for scan, z in zip(scans.numpy(), found.numpy(), strict=True):
        inside = scan[scan > 0]
        np.testing.assert_allclose(z, (scan - inside.mean()) / inside.std(), rtol=1e-4, atol=1e-5)
    assert standardised(torch.zeros(1, 1, 2, 2, 2)).abs().max() == 0


def test_volumes_are_resized_along_each_axis_alike():
    """A ramp along one axis stays a ramp along it, and swapping axes before or after is the same."""
    scans = torch.rand(2, 1, 12, 40, 21)
    found = resized_volumes(scans, 16)
    assert found.shape == (2, 1, 16, 16, 16)
    torch.testing.assert_close(resized_volumes(scans.permute(0, 1, 4, 2, 3), 16), found.permute(0, 1, 4, 2, 3))
    line = F.interpolate(scans.mean((3, 4))[:, :, None], size=(1, 16), mode="bilinear", antialias=True)
    flat = scans.mean((3, 4), keepdim=True).expand(-1, -1, -1, 7, 9).contiguous()
    torch.testing.assert_close(resized_volumes(flat, 16)[:, :, :, 3, 3], line[:, :, 0])
    torch.testing.assert_close(resized_volumes(scans[..., :12, :12], 12), scans[..., :12, :12])


@pytest.mark.parametrize("depth", [10, 18, 34, 50])
def test_the_last_stages_dilate_and_keep_the_size(depth):
    with torch.device("meta"):
        network = residual_network(depth)
        sizes = []
        for name in ("layer2", "layer3", "layer4"):
            network.get_submodule(name).register_forward_hook(lambda _, __, out: sizes.append(out.shape[2:]))
        features = network.eval()(torch.zeros(1, 1, 64, 64, 64))
    assert sizes == [(8, 8, 8)] * 3
    assert features.shape == (1, 2048 if depth == 50 else 512)
    assert depth in WEIGHTS


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "w.pth"
    for content, text in (({"state_dict": {"a": 1}}, "no tensors"), ({"conv1.weight": torch.zeros(1)}, "conv1.weight")):
        torch.save(content, path)
        with pytest.raises(UserError, match=text):
            encoder(path).encode_pixels(volumes(1), SilentProgress(), "scans")
