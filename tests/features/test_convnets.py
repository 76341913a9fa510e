"""RadImageNet's ResNet-50 and torchxrayvision's DenseNet-121 at full size, with random weights in published formats."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import DenseNet, resnet50

from synthassay.errors import UserError
from synthassay.features.convnets import load_radimagenet, load_torchxrayvision, pickled_module
from synthassay.features.specs import RadImageNetSpec, TorchXRayVisionSpec
from synthassay.features.weights import sha256_of
from synthassay.records import SilentProgress
from tests.features.sets import CPU, images


def lively(network):
    """Running statistics that are not those of an untrained network."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def residual():
    torch.manual_seed(0)
    return lively(resnet50())


@pytest.fixture(scope="module")
def radimagenet(residual, tmp_path_factory):
    """As the authors' notebook saves it: the first nine children in a Sequential called backbone."""
    backbone = nn.Module()
    backbone.backbone = nn.Sequential(*list(residual.children())[:9])
    path = tmp_path_factory.mktemp("weights") / "ResNet50.pt"
    torch.save(backbone.state_dict(), path)
    return path


def test_radimagenet_is_torchvisions_network_on_bgr_pixels_in_minus_one_to_one(residual, radimagenet):
    encoder = RadImageNetSpec(weights=str(radimagenet), sha256=sha256_of(radimagenet), resolution=64).build(CPU)
    subject = images(2, 3, size=64)
    headless = nn.Sequential(*list(residual.children())[:9], nn.Flatten())
    with torch.inference_mode():
        expected = headless(torch.from_numpy(subject.pixels[:, ::-1].astype(np.float32)) * 2 / 255 - 1).numpy()
    found = encoder.encode(subject, SilentProgress())
    np.testing.assert_allclose(found.features, expected, atol=1e-4 * expected.std())
    assert found.features.shape[1] == encoder.dimension == 2048
    alone = encoder.encode(subject.take(np.array([1])), SilentProgress()).features
    np.testing.assert_allclose(alone, found.features[[1]], atol=1e-5 * expected.std())


def test_radimagenet_weights_have_to_be_fetched_by_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHASSAY_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"inside an archive only.*\n.*github\.com/BMEII-AI/RadImageNet"):
        RadImageNetSpec().build(CPU)


def test_other_networks_are_refused(radimagenet, tmp_path):
    with pytest.raises(UserError, match=r"features\.conv0\.weight: found none, expected shape \[64, 1, 7, 7\]"):
        load_torchxrayvision(radimagenet)
    torch.save({"backbone.9.weight": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"w\.pt holds other weights"):
        load_radimagenet(tmp_path / "w.pt")


def dense():
    torch.manual_seed(0)
    network = DenseNet(growth_rate=32, block_config=(6, 12, 24, 16), num_init_features=64, num_classes=18)
    network.features.conv0 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    return lively(network)


@pytest.fixture(scope="module")
def xray():
    return dense()


@pytest.mark.parametrize("new_format", [True, False])
def test_torchxrayvision_is_read_from_a_pickled_module(xray, tmp_path, new_format):
    """As published: the whole module, here of torchvision's class, in either format of torch."""
    path = tmp_path / "model.pt"
    torch.save(xray, path, _use_new_zipfile_serialization=new_format)
    encoder = TorchXRayVisionSpec(weights=str(path), sha256=sha256_of(path)).build(CPU)
    subject = images(2, 1, size=224)
    pixels = torch.from_numpy(subject.pixels.astype(np.float32)) * 2048 / 255 - 1024
    with torch.inference_mode():
        expected = torch.relu(xray.features(pixels)).mean((2, 3)).numpy()
    found = encoder.encode(subject, SilentProgress())
    np.testing.assert_allclose(found.features, expected, atol=1e-4 * expected.std())
    assert found.features.shape[1] == encoder.dimension == 1024


def test_colour_radiographs_are_averaged(xray, tmp_path):
    torch.save(xray.state_dict(), tmp_path / "w.pt")
    encoder = TorchXRayVisionSpec(weights=str(tmp_path / "w.pt"), sha256=sha256_of(tmp_path / "w.pt")).build(CPU)
    subject = images(2, 1, size=64)
    colour = replace(subject, pixels=np.repeat(subject.pixels, 3, axis=1), content_id="")
    a, b = (encoder.encode(s, SilentProgress()).features for s in (subject, colour))
    np.testing.assert_allclose(a, b, atol=1e-4 * a.std())
    assert dict(encoder.identity)["channels"] == "RGB averaged to grey"


def test_nothing_that_a_pickle_names_is_run(tmp_path):
    class Payload(nn.Module):
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    for new_format in (True, False):
        network = nn.Sequential(nn.Linear(2, 2))
        network.extra = Payload()
        torch.save(network, tmp_path / "evil.pt", _use_new_zipfile_serialization=new_format)
        found = pickled_module(tmp_path / "evil.pt")
        assert found.keys() == {"0.weight", "0.bias"}
        assert torch.equal(found["0.weight"], network[0].weight)
        assert not (tmp_path / "touched").exists()
        with pytest.raises(UserError, match="holds other weights"):
            load_torchxrayvision(tmp_path / "evil.pt")


def test_a_file_that_is_no_module_ends_in_words(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UserError, match=r"w\.pt cannot be read as weights"):
        load_torchxrayvision(tmp_path / "w.pt")
