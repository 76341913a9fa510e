import json

import numpy as np
import pytest

from synthassay.cohorts import nifti
from synthassay.cohorts.sources import Source
from synthassay.scans.unreadable import Unreadable


@pytest.fixture
def read(tmp_path, scans):
    def through(path: str, mask: str | None = None, **changes):
        spec = scans.bids_spec(size=16).model_copy(update=changes)
        return nifti.read_images(tmp_path, Source(path=path, patient="p", study="p", series=path, mask=mask), spec)

    return through


def describe(root, path, spec):
    return nifti.NiftiFolder(root, [p.relative_to(root).as_posix() for p in root.rglob("*")], spec).describe(path)


def test_bids_names_give_patient_session_and_mask(tmp_path, scans):
    mask = "derivatives/masks/sub-01/ses-2/anat/sub-01_ses-2_mask.nii.gz"
    (tmp_path / mask).parent.mkdir(parents=True)
    (tmp_path / mask).touch()
    path = "sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz"
    source, belonging = describe(tmp_path, path, scans.bids_spec())
    assert (source.patient, source.study, source.mask) == ("sub-01", "sub-01/ses-2", mask)
    assert belonging == (mask,)


def test_a_scan_without_its_mask_is_refused(tmp_path, scans):
    with pytest.raises(Unreadable, match="no mask at the place"):
        describe(tmp_path, "sub-01/anat/sub-01_FLAIR.nii.gz", scans.bids_spec())


def test_a_sidecar_gives_site_and_device_and_a_broken_one_nothing(tmp_path, scans):
    from synthassay.cohorts.specs import LabelSpec

    spec = scans.bids_spec(label=LabelSpec(source="none"))
    facts = {"Manufacturer": "SIEMENS", "ManufacturersModelName": "Skyra", "InstitutionName": "North"}
    (tmp_path / "a.json").write_text(json.dumps(facts))
    (tmp_path / "b.json").write_text("{")
    source, belonging = describe(tmp_path, "a.nii.gz", spec)
    assert (source.site, source.device, belonging) == ("North", "Siemens Skyra", ("a.json",))
    assert describe(tmp_path, "b.nii.gz", spec)[0].site is None


def test_slices_are_upright_whatever_the_storage_order(tmp_path, scans, read):
    values = np.zeros((16, 16, 3), np.float32)
    values[2, 13, 1] = 9  # low x = the patient's left, high y = anterior
    scans.volume(tmp_path / "ras.nii", values)
    flipped = np.diag([-1.0, -1.0, 1.0, 1.0])
    scans.volume(tmp_path / "lps.nii", values[::-1, ::-1], flipped)
    got = read("ras.nii")
    row, column = np.argwhere(got.pixels[1, 0])[0]
    assert row < 8 < column  # anterior at the top, the patient's left at the right
    assert np.array_equal(read("lps.nii").pixels, got.pixels)


@pytest.mark.parametrize(("axis", "count", "spacing"), [("axial", 3, (2.0, 1.0, 3.0)), ("coronal", 8, (3.0, 1.0, 2.0)),
                                                        ("sagittal", 16, (3.0, 2.0, 1.0))])  # fmt: skip
def test_slices_along_each_axis_with_their_spacing(tmp_path, scans, read, axis, count, spacing):
    from synthassay.cohorts.specs import SliceSpec

    scans.volume(tmp_path / "a.nii.gz", scans.texture(1, shape=(16, 8, 3)).astype(np.float32), np.diag([1.0, 2, 3, 1]))
    got = read("a.nii.gz", slices=SliceSpec(axis=axis), fit="stretch")
    assert len(got.planes) == count
    assert got.planes[0].spacing_mm == spacing
    assert [plane.slice_position for plane in got.planes][:: count - 1] == [0.0, 1.0]


def test_mask_pixels_are_counted_in_each_slice_and_only_for_the_values_asked_for(tmp_path, scans, read):
    mask = np.zeros((16, 16, 3), np.uint8)
    mask[3:5, 3, 1], mask[9, 9, 2] = 1, 2
    scans.volume(tmp_path / "a.nii", scans.texture(1, shape=(16, 16, 3)).astype(np.float32))
    scans.volume(tmp_path / "m.nii", mask)
    assert [plane.mask_pixels for plane in read("a.nii", "m.nii").planes] == [0, 2, 1]
    spec = scans.bids_spec()
    label = spec.label.model_copy(update={"mask_values": (2,)})
    assert [plane.mask_pixels for plane in read("a.nii", "m.nii", label=label).planes] == [0, 0, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_voxels_that_are_not_finite_are_refused_and_counted(tmp_path, scans, read, bad):
    values = np.ones((16, 16, 3), np.float32)
    values[0, 0, :2] = bad
    scans.volume(tmp_path / "a.nii.gz", values)
    with pytest.raises(Unreadable, match="finite") as caught:
        read("a.nii.gz")
    assert caught.value.found == "2 of 768 are NaN or infinite"


def test_truncated_series_and_colour_volumes_are_refused(tmp_path, scans, read):
    scans.volume(tmp_path / "cut.nii.gz", scans.texture(1, shape=(16, 16, 9)).astype(np.float32))
    (tmp_path / "cut.nii.gz").write_bytes((tmp_path / "cut.nii.gz").read_bytes()[:800])
    scans.volume(tmp_path / "cut.nii", scans.texture(1, shape=(16, 16, 9)).astype(np.float32))
    (tmp_path / "cut.nii").write_bytes((tmp_path / "cut.nii").read_bytes()[:800])
    (tmp_path / "empty.nii").write_bytes(b"")
    scans.volume(tmp_path / "series.nii", np.ones((4, 4, 4, 2), np.float32))
    scans.volume(tmp_path / "colour.nii", np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    for name, reason in (("cut.nii.gz", "truncated"), ("cut.nii", "truncated"), ("empty.nii", "truncated"),
                         ("series.nii", "series of volumes"), ("colour.nii", "real numbers")):  # fmt: skip
        with pytest.raises(Unreadable, match=reason):
            read(name)


def test_a_single_slice_has_no_position(tmp_path, scans, read):
    scans.volume(tmp_path / "a.nii", scans.texture(1, shape=(16, 16)).astype(np.float32))
    scans.volume(tmp_path / "b.nii", scans.texture(1, shape=(16, 16, 1, 1)).astype(np.float32))
    assert [plane.slice_position for name in ("a.nii", "b.nii") for plane in read(name).planes] == [None, None]
    assert np.array_equal(read("a.nii").pixels, read("b.nii").pixels)
