from dataclasses import replace

import numpy as np
import pytest

from synthassay.card import LEVELS
from synthassay.metrics.card import pixels
from synthassay.metrics.card.pixels import MEASURES, histograms, intensity_rows, pixel_facts
from synthassay.metrics.card.subject import Subject
from synthassay.records import SilentProgress

SILENT = SilentProgress()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_measures_of_an_image_that_is_half_black_and_half_white(make_images, dtype):
    images = make_images(["A"] * 12, each=1, dtype=dtype)
    images.pixels[:, :, :, :8] = 0
    images.pixels[:, :, :, 8:] = np.iinfo(dtype).max
    facts = pixel_facts(Subject(images, {}), SILENT)
    expected = {"mean intensity": 0.5, "contrast": 0.5, "dark end": 0, "bright end": 1, "sharpness": 1 / 30}
    np.testing.assert_allclose(facts.measures, np.tile([expected[name] for name in MEASURES], (12, 1)), rtol=1e-5)
    assert facts.counts[0].tolist() == [0.5, *[0] * (LEVELS - 2), 0.5]


def test_histograms_of_places_sum_to_one_and_few_patients_have_none(make_images):
    subject = Subject(make_images(["A"] * 12 + ["B"] * 9), {})
    made = {histogram.group: histogram for histogram in histograms(subject, pixel_facts(subject, SILENT))}
    assert set(made) == {"all", "site=A"}
    assert made["all"].shares.sum() == pytest.approx(1)
    grey = subject.images.pixels[:36] / 255
    direct = np.histogram(grey, bins=LEVELS, range=(0, 1))[0] / grey.size
    np.testing.assert_allclose(made["site=A"].shares, direct, atol=1e-3)


def test_means_of_places_follow_their_images(make_subject):
    subject = make_subject(["A"] * 20 + ["B"] * 20, brighter="B")
    rows = {r.group: r for r in intensity_rows(subject, pixel_facts(subject, SILENT)) if r.quantity == "mean intensity"}
    assert rows["site=B"].value == pytest.approx(subject.images.pixels[60:].mean() / 255)
    assert rows["site=B"].ci_low > rows["site=A"].ci_high


def test_images_whose_size_no_grid_divides_and_colours_are_read(make_images):
    images = make_images(["A"] * 12, size=21)
    colour = replace(images, pixels=np.repeat(images.pixels, 3, axis=1), content_id="")
    features = pixel_facts(Subject(colour, {}), SILENT).features
    assert features.shape == (36, LEVELS + 3 * pixels.GRID**2 + pixels.RINGS)
    assert np.isfinite(features).all()


def test_a_volume_of_equal_slices_says_what_one_slice_says(make_images):
    images = make_images(["A"] * 12)
    volumes = replace(images, pixels=np.repeat(images.pixels[:, :, None], 5, axis=2), content_id="")
    flat, deep = (pixel_facts(Subject(some, {}), SILENT) for some in (images, volumes))
    np.testing.assert_allclose(deep.measures, flat.measures, atol=0.01)  # percentiles are interpolated
    np.testing.assert_allclose(deep.features, flat.features, rtol=1e-3, atol=1e-5)


def test_blocks_do_not_change_what_is_seen(make_images, monkeypatch):
    subject = Subject(make_images(["A"] * 12), {})
    whole = pixel_facts(subject, SILENT)
    monkeypatch.setattr(pixels, "BLOCK", 700)
    np.testing.assert_array_equal(pixel_facts(subject, SILENT).features, whole.features)


def test_large_cohorts_are_looked_at_by_whole_patients(make_subject, monkeypatch):
    monkeypatch.setattr(pixels, "MOST_IMAGES", 30)
    subject = make_subject(["A"] * 20 + ["B"] * 20)
    facts = pixel_facts(subject, SILENT)
    assert len(facts.rows) == 30
    assert len(np.unique(subject.units[facts.rows])) == 10


def test_a_blank_image_has_finite_features(make_images):
    images = make_images(["A"] * 12)
    images.pixels[:] = 0
    assert np.isfinite(pixel_facts(Subject(images, {}), SILENT).features).all()
