import numpy as np
import pytest

from synthassay.cohorts.planes import finish, fit, resize, with_few_values
from synthassay.cohorts.specs import SliceSpec, WindowSpec
from synthassay.scans.planes import RawPlane
from synthassay.scans.unreadable import Unreadable


def test_crop_takes_the_centre_and_pad_surrounds_it():
    plane = np.arange(12, dtype=np.float32).reshape(1, 2, 6)
    assert fit(plane, "crop", 0).tolist() == [[[2, 3], [8, 9]]]
    padded = fit(plane, "pad", -1)
    assert padded.shape == (1, 6, 6)
    assert np.array_equal(padded[:, 2:4], plane)
    assert (padded[:, [0, 1, 4, 5]] == -1).all()
    assert fit(plane, "stretch", 0).shape == (1, 2, 6)


def test_shrinking_averages_so_that_fine_stripes_do_not_alias():
    stripes = np.tile(np.array([0, 100], np.float32), (64, 32))[None]
    small = resize(stripes, 8)
    assert small.shape == (1, 8, 8)
    assert np.abs(small - 50).max() < 10


def test_resizing_keeps_values_beyond_eight_bits():
    assert np.allclose(resize(np.full((1, 20, 20), 12345.5, np.float32), 8), 12345.5)


def test_the_mask_is_counted_in_the_part_that_is_kept(scans):
    mask = np.zeros((4, 10), bool)
    mask[:, 0] = True  # outside the central square
    mask[1, 5] = True
    plane = RawPlane(values=scans.texture(1, shape=(4, 10)).astype(np.float32), mask=mask)
    assert finish([plane], scans.bids_spec(), "").planes[0].mask_pixels == 1


def test_foreground_is_the_share_above_the_files_lowest_value_or_above_a_setting(scans):
    values = np.array([[-1000, -1000], [-1000, 40]], np.float32)
    planes = [RawPlane(values=np.tile(values, (4, 4)))]
    assert finish(planes, scans.dicom_spec(), "").planes[0].foreground == 0.25
    spec = scans.dicom_spec(slices=SliceSpec(foreground_above=100))
    assert finish(planes, spec, "").planes[0].foreground == 0


def test_grey_becomes_three_equal_channels_and_colour_becomes_luma(scans):
    grey = RawPlane(values=scans.texture(1).astype(np.float32))
    three = finish([grey], scans.dicom_spec(channels=3), "").pixels
    assert three.shape == (1, 3, 8, 8)
    assert np.array_equal(three[:, 0], three[:, 2])
    red = RawPlane(values=np.full((8, 8, 3), [100, 0, 0], np.float32))
    assert np.allclose(finish([red], scans.dicom_spec(), "").pixels, 29.9)


def test_scan_mode_scales_a_file_by_its_own_percentiles(scans):
    spec = scans.dicom_spec(window=WindowSpec(mode="scan", low=0, high=100), size=20)
    pixels = finish([RawPlane(values=scans.texture(1).astype(np.float32) * 1e4)], spec, "").pixels
    assert (pixels.min(), pixels.max()) == (0, 1)
    with pytest.raises(Unreadable, match="percentiles"):
        finish([RawPlane(values=np.ones((20, 20), np.float32))], spec, "")


@pytest.mark.parametrize(("parts", "few"), [
    ([np.arange(16)], True), ([np.arange(17)], False), ([np.zeros(9)], False),  # one value: an empty image
    ([np.zeros(9), np.arange(2)], True), ([np.arange(9), np.arange(9, 18)], False),
])  # fmt: skip
def test_a_file_of_hardly_any_different_values_is_marked(scans, parts, few):
    images = finish([RawPlane(values=scans.texture(1).astype(np.float32))], scans.dicom_spec(), "")
    assert [plane.few_values for plane in with_few_values(images, parts).planes] == [few]


def test_values_that_are_not_finite_are_refused(scans):
    values = np.ones((8, 8), np.float32)
    values[0, 0] = np.inf
    with pytest.raises(Unreadable, match="finite") as caught:
        finish([RawPlane(values=values)], scans.dicom_spec(), "")
    assert caught.value.found == "1 values are NaN or infinite"
