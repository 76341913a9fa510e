import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from synthassay.cohorts.phantom.detector import brain_interior, lesion_detector
from synthassay.cohorts.phantom.scene import pixel_spacing_mm

from .conftest import Written


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    ill, well = scores[positive], scores[~positive]
    return float(mannwhitneyu(ill, well).statistic / (len(ill) * len(well)))


@pytest.fixture(scope="module")
def images(phantom: Written) -> np.ndarray:
    """As a cohort prepares them: one window for all, from percentiles, in [0, 1]."""
    values = phantom.values()
    low, high = np.percentile(values, [0.5, 99.5])
    return ((values - low) / (high - low)).clip(0, 1).astype(np.float32)


def test_detector_finds_the_lesions_of_noisy_scans(phantom: Written, images: np.ndarray):
    assert auroc(lesion_detector(images), phantom.truth.lesion.to_numpy()) > 0.9


def test_detector_works_on_every_device(phantom: Written, images: np.ndarray):
    scores = lesion_detector(images)
    for site in phantom.spec.sites:
        rows = (phantom.truth.site == site.name).to_numpy()
        assert auroc(scores[rows], phantom.truth.lesion[rows].to_numpy()) > 0.85


def test_detector_without_the_lesions_is_blind(phantom: Written, images: np.ndarray):
    """Wiping the lesion out of each scan removes what the detector sees: it reads no by-product of the label."""
    wiped = images.copy()
    for row in np.flatnonzero(phantom.truth.lesion):
        mask = phantom.masks[row].astype(bool)
        inside = brain_interior(images[row], pixel_spacing_mm(images.shape[1]))
        rng = np.random.default_rng(row)
        wiped[row][mask] = rng.choice(images[row][inside & ~mask], mask.sum())
    positive = phantom.truth.lesion.to_numpy()
    assert auroc(lesion_detector(wiped), positive) < auroc(lesion_detector(images), positive) - 0.2


def test_score_does_not_change_with_brightness_and_contrast(images: np.ndarray):
    few = images[:10]
    np.testing.assert_allclose(lesion_detector(few * 0.5), lesion_detector(few), rtol=1e-3)


def test_image_without_a_head_scores_zero():
    np.testing.assert_array_equal(lesion_detector(np.zeros((2, 64, 64), np.float32)), 0)


def test_score_of_an_image_does_not_depend_on_the_others(images: np.ndarray):
    np.testing.assert_allclose(lesion_detector(images[3:4]), lesion_detector(images[:6])[3:4], rtol=1e-9)


@pytest.mark.parametrize("bad", [np.zeros((4, 64, 64), np.uint8), np.zeros((64, 64)), np.zeros((1, 64, 32))])
def test_other_shapes_and_integers_are_refused(bad: np.ndarray):
    with pytest.raises(ValueError, match="images must be"):
        lesion_detector(bad)
