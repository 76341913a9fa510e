"""FID-Inception with random weights: the plumbing is torch-fidelity's own network, fed as it expects."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from synthassay.errors import UserError
from synthassay.features import inception
from synthassay.features.specs import FidInceptionSpec
from synthassay.features.weights import PinnedFile, sha256_of
from synthassay.records import SilentProgress
from tests.features.sets import CPU, images


def small(channels=1, dtype=np.uint8, n=3):
    return images(n, channels, dtype, size=40, origin="generator")


@pytest.fixture(scope="module")
def network():
    """torch-fidelity's network with its initial, random weights."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Untrained(FeatureExtractorInceptionV3):
        def load_state_dict(self, *args, **kwargs):
            for module in self.modules():  # the initial weights shrink an image to nothing within a few layers
                if isinstance(module, torch.nn.Conv2d):
                    torch.nn.init.kaiming_normal_(module.weight)

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Untrained("fid", ["2048"], feature_extractor_weights_path=nothing)


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def pinned(weights, monkeypatch):
    pin = PinnedFile(name=weights.name, url=weights.as_uri(), sha256=sha256_of(weights), size=weights.stat().st_size)
    monkeypatch.setattr(inception, "WEIGHTS", pin)
    return pin


@pytest.mark.slow
def test_features_agree_with_torch_fidelity(network, weights, pinned):
    encoder = FidInceptionSpec(weights=str(weights)).build(CPU)
    for subject in (small(), small(3, n=2)):
        rgb = torch.from_numpy(np.broadcast_to(subject.pixels, (len(subject), 3, 40, 40)).copy())
        expected = network(rgb)[0].numpy()
        found = encoder.encode(subject, SilentProgress())
        assert found.features.shape == (len(subject), 2048)
        assert expected.std() > 1e-3
        np.testing.assert_allclose(found.features, expected, atol=1e-4 * expected.std())
    wide = replace(small(), pixels=small().pixels.astype(np.uint16) * 257, content_id="")
    np.testing.assert_array_equal(
        encoder.encode(wide, SilentProgress()).features, encoder.encode(small(), SilentProgress()).features
    )


def test_weights_come_through_the_cache(pinned, tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHASSAY_CACHE", str(tmp_path))
    encoder = FidInceptionSpec().build(CPU)
    assert (tmp_path / pinned.name).stat().st_size == pinned.size
    assert (encoder.name, encoder.dimension) == ("fid-inception", 2048)
    assert dict(encoder.identity)["weights"] == pinned.sha256
    assert dict(encoder.identity)["resize"] == "tf1-bilinear-299"


def test_the_identity_does_not_depend_on_where_the_weights_are(pinned, weights, tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHASSAY_CACHE", str(tmp_path))
    assert FidInceptionSpec().build(CPU).identity == FidInceptionSpec(weights=str(weights)).build(CPU).identity


def test_a_wrong_file_is_refused_before_anything_is_loaded(tmp_path):
    wrong = tmp_path / "weights.pth"
    wrong.write_bytes(b"cos\nsystem\n(S'false'\ntR.")  # a pickle that would run a command
    with pytest.raises(UserError, match=inception.WEIGHTS.sha256):
        FidInceptionSpec(weights=str(wrong)).build(CPU)


def test_a_file_that_holds_more_than_tensors_is_never_unpickled(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    torch.save({"x": Payload()}, tmp_path / "evil.pth")
    with pytest.raises(Exception, match=r"[Ww]eights"):
        inception.load(tmp_path / "evil.pth")
    assert not (tmp_path / "touched").exists()


@pytest.mark.slow
@pytest.mark.parametrize("convention", ["clean", "antialias"])
def test_the_other_conventions_differ_in_the_resizing_only(network, weights, pinned, convention):
    """torchmetrics' own network, and clean-fid's resizing before torch-fidelity's network."""
    subject = small(n=1)
    rgb = torch.from_numpy(np.broadcast_to(subject.pixels, (1, 3, 40, 40)).copy())
    if convention == "antialias":
        fid = pytest.importorskip("torchmetrics.image.fid", reason="needs torchmetrics")
        outside = fid.NoTrainInceptionV3("fid", ["2048"], str(weights), antialias=True)
        expected = outside(rgb).numpy()
    else:
        resize = pytest.importorskip("cleanfid.resize", reason="needs clean-fid").build_resizer("clean")
        resized = np.stack([resize(image.permute(1, 2, 0).numpy()).transpose(2, 0, 1) for image in rgb])
        layers = [getattr(network, name) for name in ORDER]
        with torch.inference_mode():
            expected = torch.nn.Sequential(*layers)((torch.from_numpy(resized) - 128) / 128).flatten(1).numpy()
    encoder = FidInceptionSpec(weights=str(weights), resize=convention).build(CPU)
    found = encoder.encode(subject, SilentProgress()).features
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.std())


ORDER = [
    "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2",
    "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e",
    "Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool",
]  # fmt: skip


def test_each_convention_has_a_name_and_an_identity_of_its_own(pinned, weights):
    built = {c: FidInceptionSpec(weights=str(weights), resize=c).build(CPU) for c in ("tf1", "clean", "antialias")}
    assert [e.name for e in built.values()] == ["fid-inception", "fid-inception-clean", "fid-inception-antialias"]
    rules = {dict(e.identity)["resize"] for e in built.values()}
    assert rules == {"tf1-bilinear-299", "pil-bicubic-299", "torch-bilinear-antialias-299"}


def test_the_identity_of_the_first_convention_never_changes(pinned, weights):
    """Stored features are found by it."""
    assert FidInceptionSpec(weights=str(weights)).build(CPU).identity == (
        ("channels", "grey repeated to RGB"), ("dtype", "float32"), ("encoder", "fid-inception"), ("layer", "2048"),
        ("normalisation", "(x-128)/128 of 8-bit pixels"), ("resize", "tf1-bilinear-299"), ("resolution", "299"),
        ("weights", pinned.sha256),
    )  # fmt: skip


def test_the_pin_is_the_file_that_torch_fidelity_uses():
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    assert inception.WEIGHTS.url == URL_INCEPTION_V3
    assert inception.WEIGHTS.name == URL_INCEPTION_V3.rsplit("/", 1)[1]
    assert inception.WEIGHTS.sha256[:8] == "6726825d"  # the file's own name
