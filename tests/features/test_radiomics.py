"""Radiomic features: known images, fixed bins, independence of the other images, an explicit choice of library."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from synthassay.errors import UserError
from synthassay.features import radiomics, radiomics_skimage
from synthassay.features.radiomics_specs import RadiomicsSpec
from synthassay.records import ImageSet, SilentProgress
from synthassay.specs import Resources

LIBRARIES = ("skimage", "pyradiomics")
CPU = Resources(device="cpu", threads=1)


@pytest.fixture(params=LIBRARIES)
def library(request):
    if request.param == "pyradiomics":
        pytest.importorskip("radiomics", reason="needs the extra pyradiomics")
    return request.param


def images(channels=1, dtype=np.uint8, n=4, side=16):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, (n, channels, side, side)).astype(dtype)
    return image_set(pixels)


def image_set(pixels):
    ids = np.array([f"i{i}" for i in range(len(pixels))])
    return ImageSet(name="set", origin="generator", pixels=pixels, ids=ids, patients=ids, label_names=("a", "b"),
                    labels=np.zeros(len(pixels), np.int64))  # fmt: skip


def encode(subject, library="skimage", threads=1, **changes):
    encoder = RadiomicsSpec(library=library, **changes).build(Resources(device="cpu", threads=threads))
    return encoder.encode(subject, SilentProgress()).features


def named(picture, levels=32):
    return dict(zip(radiomics_skimage.feature_names(), radiomics_skimage.features(picture, levels), strict=True))


def test_first_order_features_are_those_of_scipy():
    picture = np.random.default_rng(0).gamma(2.0, 30.0, (24, 24)).clip(0, 255).astype(np.uint8)
    found, values = named(picture), picture.ravel() / 255
    assert found["firstorder_mean"] == pytest.approx(values.mean())
    assert found["firstorder_sd"] == pytest.approx(values.std())
    assert found["firstorder_skewness"] == pytest.approx(stats.skew(values))
    assert found["firstorder_kurtosis"] == pytest.approx(stats.kurtosis(values, fisher=False))
    assert found["firstorder_percentile_25"] == pytest.approx(np.percentile(values, 25))
    shares = np.bincount(picture.ravel() // 8, minlength=32) / picture.size
    assert found["firstorder_entropy"] == pytest.approx(stats.entropy(shares, base=2))
    assert found["firstorder_uniformity"] == pytest.approx(np.sum(shares**2))


def test_texture_of_a_chessboard():
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 248).astype(np.uint8)  # levels 0 and 31 of 32
    found = named(board)
    # Neighbours along a row or a column differ by 31 levels, those on a diagonal or at 2 pixels are equal.
    assert found["glcm_contrast_1"] == pytest.approx(31**2 / 2)
    assert found["glcm_contrast_2"] == 0.0
    assert found["glcm_correlation_1"] == pytest.approx(0.0)
    assert found["glcm_correlation_2"] == pytest.approx(1.0)
    assert found["glcm_ASM_1"] == pytest.approx(0.5, abs=1e-4)  # 225 cells on a diagonal
    assert found["glcm_entropy_1"] == pytest.approx(math.log(2), abs=1e-4)
    assert found["firstorder_entropy"] == pytest.approx(1.0)


def test_patterns_of_a_ramp_and_of_a_flat_image():
    ramp = np.tile(np.arange(0, 240, 10, dtype=np.uint8), (24, 1))
    found = named(ramp)
    assert found["lbp_1_5"] == found["lbp_2_5"] == 1.0  # five of eight neighbours are not darker
    flat = named(np.full((16, 16), 77, np.uint8))
    assert flat["lbp_1_8"] == flat["lbp_2_8"] == 1.0


def test_patterns_see_texture_within_one_level():
    faint = (100 + np.indices((16, 16)).sum(axis=0) % 2).astype(np.uint8)
    found = named(faint)
    assert found["glcm_contrast_1"] == 0.0
    assert found["lbp_1_8"] == pytest.approx(0.5, abs=0.01)  # bright cells have darker neighbours


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), turns=st.integers(1, 3), flip=st.booleans())
def test_how_a_scan_lies_does_not_matter(seed, turns, flip):
    picture = np.random.default_rng(seed).integers(0, 256, (20, 20)).astype(np.uint8)
    turned = np.rot90(picture[:, ::-1] if flip else picture, turns)
    np.testing.assert_allclose(
        radiomics_skimage.features(turned, 32), radiomics_skimage.features(picture, 32), rtol=1e-9, atol=1e-12
    )


def test_features_have_names_and_the_encoder_says_what_they_are(library):
    encoder = RadiomicsSpec(library=library).build(CPU)
    assert encoder.name == f"radiomics-{library}"
    assert encoder.dimension == {"skimage": 49, "pyradiomics": 93}[library]
    assert len(set(encoder.feature_names)) == encoder.dimension
    parts = dict(encoder.identity)
    assert parts["levels"] == "32"
    assert parts["library"].startswith({"skimage": "scikit-image ", "pyradiomics": "pyradiomics "}[library])
    found = encoder.encode(images(), SilentProgress())
    assert (found.features.shape, found.features.dtype) == ((4, encoder.dimension), np.float32)
    assert found.encoder_identity == encoder.identity
    assert found.content_id == images().content_id


def test_identities_differ_in_whatever_changes_a_feature(library):
    base = RadiomicsSpec(library=library).build(CPU).identity
    assert RadiomicsSpec(library=library, levels=64).build(CPU).identity != base
    assert RadiomicsSpec(library=library).build(Resources(device="cpu", threads=2)).identity == base
    assert not np.array_equal(encode(images(), library), encode(images(), library, levels=64))


def test_the_feature_list_is_part_of_the_identity(monkeypatch):
    base = dict(RadiomicsSpec().build(CPU).identity)["features"]
    names = radiomics_skimage.feature_names()
    monkeypatch.setattr(radiomics_skimage, "feature_names", lambda: (*names[:-1], "other"))
    assert dict(RadiomicsSpec().build(CPU).identity)["features"] != base


def test_a_shift_of_intensity_is_seen(library):
    """Bins between an image's own minimum and maximum would hide it from every feature of texture and histogram."""
    dark = np.random.default_rng(0).integers(0, 64, (1, 1, 16, 16)).astype(np.uint8)
    names = RadiomicsSpec(library=library).build(CPU).feature_names
    low, high = (dict(zip(names, encode(image_set(x), library)[0], strict=True)) for x in (dark, dark * 3))
    feature = {"skimage": "glcm_contrast_1", "pyradiomics": "glcm_Contrast"}[library]
    assert high[feature] > 5 * low[feature]
    entropy = {"skimage": "firstorder_entropy", "pyradiomics": "firstorder_Entropy"}[library]
    assert high[entropy] > low[entropy] + 1


def test_one_pixel_does_not_change_the_bins(library):
    picture = np.random.default_rng(0).integers(96, 160, (1, 1, 32, 32)).astype(np.uint8)
    spot = picture.copy()
    spot[0, 0, 9, 9] = 255
    names = RadiomicsSpec(library=library).build(CPU).feature_names
    column = names.index({"skimage": "firstorder_entropy", "pyradiomics": "glcm_JointEntropy"}[library])
    found = [encode(image_set(x), library)[0, column] for x in (picture, spot)]
    assert found[1] == pytest.approx(found[0], abs=0.1)


def test_bit_depth_changes_nothing():
    np.testing.assert_array_equal(
        encode(replace(images(), pixels=images().pixels.astype(np.uint16) * 257, content_id="")), encode(images())
    )


def test_a_row_depends_on_its_image_only(library):
    subject = images(n=5)
    order = np.array([3, 0, 4])
    np.testing.assert_array_equal(encode(subject.take(order), library), encode(subject, library)[order])


def test_processes_give_the_same(monkeypatch):
    monkeypatch.setattr(radiomics, "BLOCK", 2)
    subject = images(n=2 * radiomics.FEWEST_BLOCKS + 1)
    np.testing.assert_array_equal(encode(subject, threads=2), encode(subject, threads=1))


def test_colour_becomes_luminance(library):
    subject = images(channels=3)
    luminance = np.einsum("nchw,c->nhw", subject.pixels.astype(float), (0.2125, 0.7154, 0.0721))
    as_grey = np.rint(luminance).astype(np.uint8)[:, None]
    np.testing.assert_array_equal(encode(subject, library), encode(image_set(as_grey), library))
    grey = images()
    np.testing.assert_array_equal(encode(image_set(np.repeat(grey.pixels, 3, axis=1)), library), encode(grey, library))


def test_flat_images_have_finite_features(library):
    pixels = np.stack([np.full((1, 16, 16), value, np.uint8) for value in (0, 77, 255)])
    assert np.isfinite(encode(image_set(pixels), library)).all()


def test_progress_counts_images():
    class Counting(SilentProgress):
        total = done = 0

        def start(self, what, total, done=0):
            self.total = total

        def advance(self, n=1):
            self.done += n

    progress = Counting()
    RadiomicsSpec().build(CPU).encode(images(n=40), progress)
    assert (progress.total, progress.done) == (40, 40)


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        (images(channels=2), "set: found 2 channels"),
        (images(side=7), "set: images of 7×7 pixels are too small"),
    ],
)
def test_other_images_are_refused(subject, message):
    with pytest.raises(UserError, match=message):
        encode(subject)


def test_a_feature_that_is_no_number_is_an_error_that_names_it(monkeypatch):
    encoder = RadiomicsSpec().build(CPU)
    broken = np.zeros((4, encoder.dimension))
    broken[2, 3] = np.nan
    monkeypatch.setattr(encoder, "_compute", lambda pixels: broken)
    with pytest.raises(UserError, match=r"set: firstorder_kurtosis of the image in row 2 is nan\n1 of 4 images"):
        encoder.encode(images(), SilentProgress())


@pytest.mark.parametrize("absent", LIBRARIES)
def test_an_absent_library_is_an_error_and_never_another_library(absent, monkeypatch):
    monkeypatch.setattr(radiomics.MODULES[absent], "DISTRIBUTION", "no-such-distribution")
    with pytest.raises(UserError, match=f"encoder.library={absent} needs no-such-distribution") as caught:
        RadiomicsSpec(library=absent).build(CPU)
    assert "pip install" in str(caught.value)
    status = radiomics.radiomics_status(absent)
    assert not status.present
    assert "pip install" in status.detail


def test_the_status_says_which_version_is_there(library):
    status = radiomics.radiomics_status(library)
    assert status.present
    assert status.encoder == f"radiomics-{library}"
    assert status.detail == dict(RadiomicsSpec(library=library).build(CPU).identity)["library"]


@pytest.mark.parametrize("levels", [7, 30, 512])
def test_levels_must_divide_the_range(levels):
    with pytest.raises(ValidationError):
        RadiomicsSpec(levels=levels)


def test_settings_are_part_of_the_key():
    keys = [RadiomicsSpec(**changes).to_key() for changes in ({}, {"levels": 64}, {"library": "pyradiomics"})]
    assert keys[0] == {"kind": "radiomics", "library": "skimage", "levels": 32}
    assert keys[0] != keys[1] != keys[2]
