"""Volumes become slices, or images of their own, by one set of rules whatever file they come from."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from synthassay.cohorts.sources import Image, Plane, Source
from synthassay.cohorts.specs import DicomSpec, LabelSpec, NiftiSpec, SliceSpec, WindowSpec
from synthassay.cohorts.volumes import images_of, told
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import Volume, VolumeSpec

SHAPE = (20, 24, 12)  # x, y, z


def spec(**changes):
    settings = {"name": "v", "size": 16, "label": LabelSpec(source="none"), "fit": "stretch"}
    return NiftiSpec(**{**settings, **changes})


def volume(affine=None, mask=None, placed=True):
    values = np.random.default_rng(0).random(SHAPE).astype(np.float32) + 1
    affine = np.diag([1.0, 1.0, 3.0, 1.0]) if affine is None else affine
    return Volume(values=values, affine=affine, mask=mask, placed=placed)


def block(*places):
    mask = np.zeros(SHAPE, bool)
    mask[places] = True
    return mask


def test_a_whole_volume_is_cropped_and_padded_around_its_middle():
    source = volume()
    shape = (16, 8, 10)
    got = images_of(source, spec(dimensions=3, volume=VolumeSpec(shape=shape)), "digest")
    assert got.pixels.shape == (1, 1, *shape)
    assert got.pixels.dtype == np.float32
    expected = source.values[5:15, 8:16].transpose(2, 1, 0)[:, ::-1, ::-1]  # slices, rows, columns
    assert np.array_equal(got.pixels[0, 0, 2:14], expected)
    assert (got.pixels[0, 0, [0, 1, 14, 15]] == source.values.min()).all()
    (plane,) = got.planes
    assert (plane.slice_index, plane.slice_position, plane.spacing_mm) == (None, None, (1.0, 1.0, 3.0))
    assert plane.orientation == "axial"


def test_without_a_shape_it_is_a_cube_of_the_size():
    assert images_of(volume(), spec(dimensions=3), "").pixels.shape == (1, 1, 16, 16, 16)


def test_it_is_cut_around_the_mask_and_what_is_kept_of_the_mask_is_counted():
    mask = block(slice(1, 4), slice(2, 5), slice(0, 3))
    rules = VolumeSpec(shape=(8, 8, 8), centre="mask")
    got = images_of(volume(mask=mask), spec(dimensions=3, volume=rules), "")
    marked = images_of(
        Volume(values=mask.astype(np.float32), affine=np.eye(4), mask=mask), spec(dimensions=3, volume=rules), ""
    )
    assert got.planes[0].mask_pixels == 27
    places = np.argwhere(marked.pixels[0, 0])
    assert len(places) == 27
    assert np.abs(places.mean(0) - 3.5).max() <= 0.5


def test_it_is_cut_around_the_foreground():
    values = np.full(SHAPE, -1000, np.float32)
    values[14:18, 4:8, 8:11] = 50
    rules = VolumeSpec(shape=(8, 8, 8), centre="foreground")
    got = images_of(Volume(values=values, affine=np.eye(4)), spec(dimensions=3, volume=rules), "")
    assert (got.pixels == 50).sum() == 48
    assert np.abs(np.argwhere(got.pixels[0, 0] == 50).mean(0) - 3.5).max() <= 0.5


def test_a_centre_that_the_mask_does_not_give_is_a_reason():
    rules = spec(dimensions=3, volume=VolumeSpec(centre="mask"))
    with pytest.raises(Unreadable, match="marks something"):
        images_of(volume(mask=np.zeros(SHAPE, bool)), rules, "")


@pytest.mark.parametrize(("spacing", "count"), [(3.0, 12), ((6.0, 1.0, 1.0), 6), (None, 12)])
def test_slices_are_resampled_to_the_spacing(spacing, count):
    got = images_of(volume(), spec(volume=VolumeSpec(spacing_mm=spacing)), "")
    assert len(got.planes) == pytest.approx(count, abs=1)
    wanted = (spacing,) * 3 if isinstance(spacing, float) else spacing or (3.0, 1.0, 1.0)
    assert got.planes[0].spacing_mm == pytest.approx((*wanted[1:], wanted[0]))


def test_a_single_slice_is_not_cut_across():
    flat = Volume(values=volume().values[:, :1], affine=np.eye(4))
    with pytest.raises(Unreadable, match=r"along cohort\.slices\.axis"):
        images_of(flat, spec(), "")
    assert images_of(flat, spec(slices=SliceSpec(axis="coronal")), "").pixels.shape == (1, 1, 16, 16)


def test_a_tilted_volume_is_left_or_straightened_and_says_so():
    turn = nib.affines.from_matvec(nib.eulerangles.euler2mat(x=0.3), [0, 0, 0])
    kept = images_of(volume(turn), spec(), "")
    assert kept.planes[0].orientation == "axial, oblique by 17 degrees"
    assert len(kept.planes) == SHAPE[2]
    straight = images_of(volume(turn), spec(volume=VolumeSpec(oblique="resample")), "")
    assert len(straight.planes) > SHAPE[2]
    with pytest.raises(Unreadable, match="needs a header that says how it lies"):
        images_of(volume(turn, placed=False), spec(volume=VolumeSpec(oblique="resample")), "")
    assert images_of(volume(placed=False), spec(), "").planes[0].orientation is None


def test_a_window_of_the_scan_is_that_of_all_its_voxels():
    source = volume()
    rules = spec(dimensions=3, window=WindowSpec(mode="scan", low=0, high=100), volume=VolumeSpec(shape=(8, 8, 8)))
    got = images_of(source, rules, "").pixels
    low, high = source.values.min(), source.values.max()
    expected = source.values[6:14, 8:16, 2:10].transpose(2, 1, 0)[:, ::-1, ::-1]
    assert np.allclose(got[0, 0], (expected - low) / (high - low), atol=1e-6)


def test_a_whole_volume_along_another_axis():
    got = images_of(
        volume(), spec(dimensions=3, slices=SliceSpec(axis="coronal"), volume=VolumeSpec(shape=(24, 12, 20))), ""
    )
    assert got.planes[0].spacing_mm == (3.0, 1.0, 1.0)
    assert np.array_equal(got.pixels[0, 0], volume().values.transpose(1, 2, 0)[:, ::-1, ::-1])


def images(*orientations):
    return [
        Image(source=Source(path=str(i), patient="p", study="p", series=str(i)), sha256="", chunk=0, row=0,
              plane=Plane(frame=0, slice_index=0, slice_position=0.0, foreground=1.0, digest="", orientation=text))
        for i, text in enumerate(orientations)
    ]  # fmt: skip


def test_volumes_that_lie_askew_or_do_not_say_how_are_told():
    some = images("axial", "axial, oblique by 4 degrees", "axial, oblique by 17 degrees", None)
    tilted, unknown = told(some, spec())
    assert tilted.startswith("2 of 4 volumes are tilted by up to 17 degrees")
    assert unknown.startswith("1 of 4 volumes do not say how they lie")
    assert told(images("axial", "axial"), spec()) == []
    disputed = [replace(image, plane=replace(image.plane, disputed=True)) for image in images("axial", "axial")]
    assert told(disputed, spec()) == [
        "2 of 2 volumes say with their sform and with their qform how they lie, and not the same; the sform was taken "
        "(cohort.volume.affine)."
    ]
    straightened = told(some[:3], spec(volume=VolumeSpec(oblique="resample")))
    assert straightened == []


def test_pixels_that_are_not_square_are_told():
    some = [replace(image, plane=replace(image.plane, spacing_mm=spacing))
            for image, spacing in zip(images(*["axial"] * 3), [(1.0, 1.02, 5.0), (6.0, 1.0, 1.0), None], strict=True)
            ]  # fmt: skip
    assert told(some, spec()) == [
        "The pixels of 1 of 3 scans are not square, with sides of up to 6 to 1, and are shown as if they were; "
        "cohort.volume.spacing_mm resamples them."
    ]
    assert told(some, spec(dimensions=3)) == []
    of_slices = DicomSpec(name="v", label=LabelSpec(source="none"))
    assert told(some, of_slices)[0].startswith("The pixels of 1 of 3 files are not square")
