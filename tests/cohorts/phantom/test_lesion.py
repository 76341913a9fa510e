import numpy as np
import pytest

from synthassay.cohorts.phantom.anatomy import TABLE, brain_radius, draw_anatomy, ventricles, warped
from synthassay.cohorts.phantom.lesion import Lesion, draw_lesion, lesion_profile
from synthassay.cohorts.phantom.specs import PhantomSpec

ROUND = Lesion(x=5.0, y=-3.0, level=0.0, radius=10.0, contrast=0.3, growth=0.1, contour=np.ones(TABLE))


def test_profile_is_one_half_on_the_contour_and_falls_outwards():
    distance = np.array([0.0, 5.0, 10.0, 15.0, 30.0])
    profile = lesion_profile(ROUND, ROUND.x + distance, np.full(5, ROUND.y))
    assert profile[2] == pytest.approx(0.5)
    assert (np.diff(profile) < 0).all()
    assert profile[0] > 0.99
    assert profile[-1] < 0.01


def test_lesion_grows_from_study_to_study():
    assert ROUND.grown(0).radius == ROUND.radius
    assert ROUND.grown(2).radius == pytest.approx(10.0 * 1.1**2)


def test_cut_narrows_away_from_the_centre_and_a_grazing_one_is_a_miss():
    cut = ROUND.at_level(6.0)
    assert cut is not None
    assert cut.radius == pytest.approx(8.0)
    assert ROUND.at_level(8.5) is None


@pytest.mark.parametrize("seed", range(25))
def test_lesion_lies_in_the_brain_on_one_side_and_clear_of_the_ventricles(seed: int):
    anatomy = draw_anatomy(np.random.default_rng(seed), "M", 3.0)
    lesion = draw_lesion(np.random.default_rng(seed + 100), PhantomSpec(), anatomy, 60.0)
    at = np.array([lesion.x]), np.array([lesion.y])
    limit = brain_radius(anatomy, np.arctan2(at[1], at[0]), 0.0)
    assert np.hypot(*at) + 0.6 * lesion.radius < limit
    assert abs(lesion.x) > 0.3 * lesion.radius
    assert ventricles(anatomy, *warped(anatomy, *at), 60.0, 0.0, 0.5) < 0.5
