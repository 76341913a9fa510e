import numpy as np
import pytest

from synthassay.cohorts.intensity import apply_policy, check_range, make_policy, quantise
from synthassay.cohorts.specs import DicomSpec, LabelSpec, NiftiSpec, WindowSpec
from synthassay.errors import UserError


def policy_of(scans, window: WindowSpec, pixels: np.ndarray, **changes):
    spec = scans.dicom_spec(window=window, **changes)
    return make_policy(spec, iter([pixels[:2], pixels[2:]]), pixels.size)


def test_window_ends_become_the_ends_of_the_integer_range():
    values = np.array([-5.0, 0.0, 5.0, 10.0, 99.0], np.float32)
    assert quantise(values, 0, 10, 8).tolist() == [0, 0, 128, 255, 255]
    assert quantise(values, 0, 10, 16).tolist() == [0, 0, 32768, 65535, 65535]
    assert quantise(values, 0, 10, 16).dtype == np.uint16


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="NaN or infinite"):
        quantise(np.array([0.0, bad], np.float32), 0, 1, 8)


@pytest.mark.parametrize(("lowest", "highest", "shown"), [
    (0, 1, False), (0, 5, True), (-3000, 0, False), (250, 252, True), (252, 1e6, False), (-10, 1000, True),
])  # fmt: skip
def test_a_window_in_which_all_is_black_or_all_is_white_is_a_mistake(lowest, highest, shown):
    policy = {"low": 0.0, "high": 255.0, "bits": 8}
    if shown:
        check_range(lowest, highest, policy)
    else:
        with pytest.raises(UserError, match=r"are hardly a grey in the window from 0 to 255"):
            check_range(lowest, highest, policy)
    check_range(min(lowest, 100), highest + 100, policy | {"bits": 16})


def test_an_empty_window_is_refused():
    with pytest.raises(ValueError, match="empty"):
        quantise(np.zeros(2, np.float32), 1, 1, 8)


def test_percentiles_are_those_of_all_training_pixels(scans):
    pixels = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    policy = policy_of(scans, WindowSpec(low=1, high=99), pixels)
    assert (policy["low"], policy["high"]) == pytest.approx(tuple(np.percentile(pixels, [1, 99])))
    assert policy["taken_from"] == "generator-train"
    assert policy["pixels_used"] == pixels.size
    stored = apply_policy(pixels, policy)
    assert stored.shape == pixels.shape
    assert (stored.min(), stored.max(), stored.dtype) == (0, 255, np.uint8)


def test_many_pixels_are_thinned_evenly_across_blocks(scans, monkeypatch):
    monkeypatch.setattr("synthassay.cohorts.intensity.MAX_VALUES", 100)
    pixels = np.arange(5 * 64, dtype=np.float32).reshape(5, 1, 8, 8)
    policy = policy_of(scans, WindowSpec(low=0, high=100), pixels)
    assert (policy["low"], policy["high"], policy["pixels_used"]) == (0.0, 316.0, 80)


def test_a_fixed_window_looks_at_no_pixel(scans):
    policy = make_policy(scans.dicom_spec(window=WindowSpec(mode="fixed", low=-160, high=240)), _never(), 10)
    assert (policy["low"], policy["high"], policy["percentiles"]) == (-160, 240, None)


def _never():
    raise AssertionError("pixels were read")
    yield


def test_scan_mode_windows_each_scan_on_its_own(scans):
    policy = make_policy(scans.dicom_spec(window=WindowSpec(mode="scan", low=0, high=100)), _never(), 10)
    ramp = np.arange(64, dtype=np.float32).reshape(1, 1, 8, 8)
    assert np.array_equal(apply_policy(ramp, policy), apply_policy(1000 * ramp + 7, policy))


def test_constant_training_pixels_are_a_users_problem(scans):
    with pytest.raises(UserError, match="are both 3"):
        policy_of(scans, WindowSpec(), np.full((3, 1, 8, 8), 3, np.float32))


def test_windows_of_headers_are_said_to_be_those_of_each_header():
    spec = DicomSpec(name="x", label=LabelSpec(source="none"), window=WindowSpec(mode="header"))
    policy = make_policy(spec, iter(()), 0)
    assert (policy["low"], policy["high"], policy["taken_from"]) == (0.0, 1.0, "each header")
    assert (policy["percentiles"], policy["source_units"]) == (None, "rescaled")
    with pytest.raises(ValueError, match=r"window\.mode=header"):
        NiftiSpec(name="x", label=LabelSpec(source="none"), window=WindowSpec(mode="header"))
