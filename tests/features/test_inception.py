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
from synthassay.records import ImageSet, SilentProgress
from synthassay.specs import Resources

CPU = Resources(device="cpu", threads=1)


def images(channels=1, dtype=np.uint8, n=3):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, (n, channels, 40, 40)).astype(dtype)
    ids = np.array([f"i{i}" for i in range(n)])
    return ImageSet(name="set", origin="generator", pixels=pixels, ids=ids, patients=ids, labels=np.zeros(n, np.int64),
                    label_names=("a", "b"))  # fmt: skip


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
    for subject in (images(), images(3, n=2)):
        rgb = torch.from_numpy(np.broadcast_to(subject.pixels, (len(subject), 3, 40, 40)).copy())
        expected = network(rgb)[0].numpy()
        found = encoder.encode(subject, SilentProgress())
        assert found.features.shape == (len(subject), 2048)
        assert expected.std() > 1e-3
        np.testing.assert_allclose(found.features, expected, atol=1e-4 * expected.std())
    wide = replace(images(), pixels=images().pixels.astype(np.uint16) * 257, content_id="")
    np.testing.assert_array_equal(
        encoder.encode(wide, SilentProgress()).features, encoder.encode(images(), SilentProgress()).features
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


def test_the_pin_is_the_file_that_torch_fidelity_uses():
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    assert inception.WEIGHTS.url == URL_INCEPTION_V3
    assert inception.WEIGHTS.name == URL_INCEPTION_V3.rsplit("/", 1)[1]
    assert inception.WEIGHTS.sha256[:8] == "6726825d"  # the file's own name
