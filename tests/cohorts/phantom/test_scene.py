import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from synthassay.cohorts.phantom.anatomy import Anatomy, draw_anatomy
from synthassay.cohorts.phantom.lesion import draw_lesion
from synthassay.cohorts.phantom.scene import (
    FIELD_OF_VIEW_MM,
    FLUID,
    Pose,
    Scene,
    head_coordinates,
    pixel_of,
    render,
)
from synthassay.cohorts.phantom.specs import PhantomSpec

from .conftest import Written

TURNED = Pose(3.0, -5.0, 0.2, 0.5)


def draw(seed: int, sex: str = "F") -> Anatomy:
    return draw_anatomy(np.random.default_rng(seed), sex, 3.0)  # type: ignore[arg-type]


def scene(anatomy: Anatomy, **changes: object) -> Scene:
    settings = {"age": 50.0, "pose": Pose(), "offset_mm": 0.0, "size": 64, "strength": 0.06, "lesion": None}
    return render(anatomy, **{**settings, **changes})  # type: ignore[arg-type]


def dark_centre(signal: np.ndarray) -> np.ndarray:
    """Fluid pixels within 40 mm of the image's centre: the ventricles, read from the image itself."""
    axis = (np.arange(signal.shape[-1]) + 0.5) * FIELD_OF_VIEW_MM / signal.shape[-1] - FIELD_OF_VIEW_MM / 2
    central = np.hypot(axis[:, None], axis[None, :]) < 40
    return ((signal < (FLUID + 0.12)) & central).sum((-2, -1))


def scalp(signal: np.ndarray) -> float:
    """Signal in the first three pixels under the skin on the image's left, mean over the rows of the middle."""
    rows = signal[len(signal) // 2 - 6 : len(signal) // 2 + 6]
    skin = (rows > 0.1).argmax(1)
    return float(np.mean([row[start : start + 3].sum() for row, start in zip(rows, skin, strict=True)]))


def test_pixel_of_a_point_is_the_inverse_of_head_coordinates():
    x, y = head_coordinates(48, TURNED)
    assert pixel_of(48, TURNED, x[7, 31], y[7, 31]) == pytest.approx((7, 31))


def test_ventricles_of_one_patient_grow_with_age():
    areas = [scene(draw(3), age=age).ventricle_mm2 for age in (25.0, 50.0, 80.0)]
    assert areas[0] < areas[1] < areas[2]
    assert areas[2] > 1.4 * areas[0]


def test_ventricles_shrink_away_from_their_level():
    assert scene(draw(3), offset_mm=20.0).ventricle_mm2 < scene(draw(3)).ventricle_mm2


def test_age_shows_in_the_noise_free_images_of_the_phantom(phantom: Written):
    first = ~phantom.truth.patient.duplicated()
    area = dark_centre(phantom.noise_free[first])
    age = phantom.truth.age[first]
    assert np.corrcoef(area, age)[0, 1] > 0.6
    assert np.corrcoef(phantom.truth.ventricle_mm2[first], age)[0, 1] > 0.6


def test_sex_shows_in_the_bright_rim_and_the_head_of_the_noise_free_images(phantom: Written):
    first = ~phantom.truth.patient.duplicated()
    signal, female = phantom.noise_free[first], (phantom.truth.sex[first] == "F").to_numpy()
    rim = np.array([scalp(image) for image in signal])
    area = (signal > 0.04).sum((1, 2))
    assert rim[female].mean() > rim[~female].mean() * 1.15
    assert area[female].mean() < area[~female].mean() * 0.97


def test_second_study_of_a_patient_is_told_apart_from_other_patients_but_is_no_copy(phantom: Written):
    truth = phantom.truth.drop_duplicates(["patient", "study"])
    images = gaussian_filter(phantom.noise_free, (0, 2, 2)).reshape(len(phantom.noise_free), -1)
    first, second = truth[truth.study == 1], truth[truth.study == 2]
    distance = cdist(images[second.index], images[first.index])
    nearest = first.patient.to_numpy()[distance.argmin(1)]
    assert len(second) > 30
    assert (nearest == second.patient.to_numpy()).mean() > 0.5  # by chance 1 in 120
    own = second.patient.to_numpy()[:, None] == first.patient.to_numpy()[None]
    assert distance[own].min() > 0.1
    assert distance[own].mean() < 0.6 * distance[~own].mean()


def test_same_patient_in_the_same_pose_gives_the_same_image():
    np.testing.assert_array_equal(scene(draw(9), pose=TURNED).signal, scene(draw(9), pose=TURNED).signal)
    assert np.abs(scene(draw(9)).signal - scene(draw(10)).signal).mean() > 0.02


def test_resolution_changes_the_pixels_and_not_the_head():
    fine, coarse = scene(draw(2), size=128).signal, scene(draw(2), size=64).signal
    averaged = fine.reshape(64, 2, 64, 2).mean((1, 3))
    assert np.corrcoef(averaged.ravel(), coarse.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("seed", range(6))
def test_mask_lies_at_the_stated_centre_with_the_stated_size(seed: int):
    spec = PhantomSpec()
    anatomy = draw(seed)
    lesion = draw_lesion(np.random.default_rng(seed), spec, anatomy, 50.0)
    drawn = scene(anatomy, pose=TURNED, lesion=lesion, size=128)
    rows, cols = np.nonzero(drawn.mask)
    assert np.hypot(rows.mean() - drawn.centre[0], cols.mean() - drawn.centre[1]) < 0.35 * drawn.radius_px
    assert drawn.mask.sum() == pytest.approx(np.pi * drawn.radius_px**2, rel=0.35)


def test_lesion_is_brighter_than_the_same_head_without_it_and_nothing_else_changes():
    anatomy = draw(4)
    lesion = draw_lesion(np.random.default_rng(4), PhantomSpec(lesion_contrast=(0.3, 0.3)), anatomy, 50.0)
    difference = scene(anatomy, lesion=lesion).signal - scene(anatomy).signal
    mask = scene(anatomy, lesion=lesion).mask.astype(bool)
    assert difference[mask].mean() > 0.2
    assert np.abs(difference[~mask]).mean() < 0.01
