"""External volumes pass the cohort's policy: its window, its spacing, and its shape where images are volumes."""

import nibabel as nib
import numpy as np
import pytest

from synthassay.cohorts.intensity import make_policy
from synthassay.cohorts.specs import LabelSpec, NiftiSpec, SliceSpec, WindowSpec
from synthassay.errors import UserError
from synthassay.generators.external.fitting import Wanted, fitted
from synthassay.generators.external.items import Item, rows_of
from synthassay.generators.external.readers import read_planes
from synthassay.generators.external.specs import ExternalColumns, ExternalSpec
from synthassay.records import ImageSet
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.volumes import VolumeSpec
from tests.generators.external.made_up import load, write_hdf5, write_pictures
from tests.scans.dicom_files import save_dicom, uid

SHAPE = (8, 10, 12)  # slices, rows, columns


@pytest.fixture
def cohort():
    """``cohort(**settings)``: the policy of a cohort of volumes windowed for lung, and a set in its shape."""

    def made(**settings):
        rules = {"dimensions": 3, "volume": VolumeSpec(shape=SHAPE), "window": WindowSpec(name="lung"), "bits": 16}
        spec = NiftiSpec(name="ct", label=LabelSpec(source="none"), **{**rules, **settings})
        pixels = np.zeros((2, 1, *spec.image_shape), np.uint16 if spec.bits == 16 else np.uint8)
        ids = np.array(["a", "b"])
        like = ImageSet(name="real", origin="real", pixels=pixels, ids=ids, patients=ids,
                        labels=np.array([-1, -1]), label_names=("unlabelled",))  # fmt: skip
        return make_policy(spec, (), 0), like

    return made


def hounsfield(seed=0, shape=SHAPE[::-1]):
    return np.random.default_rng(seed).integers(-1350, 151, shape).astype(np.int16)


def expected(values):
    upright = values.transpose(2, 1, 0)[:, ::-1, ::-1].astype(np.float64)
    return np.rint((upright + 1350) / 1500 * 65535).astype(np.uint16)


def test_volumes_in_the_cohorts_shape_pass_its_window(tmp_path, cohort):
    policy, like = cohort()
    for i in range(2):
        nib.save(nib.Nifti1Image(hounsfield(i), np.eye(4)), tmp_path / f"{i}.nii.gz")
    write_pictures(tmp_path, 1)
    images, refused = load(tmp_path, ExternalSpec(), like, policy)
    assert images.pixels.shape == (2, 1, *SHAPE)
    assert np.array_equal(images.pixels[1, 0], expected(hounsfield(1)))
    assert [row.found for row in refused] == ["no volume"]
    assert len(set(images.patients.tolist())) == 2


def test_volumes_of_another_shape_are_cropped_and_padded_only_on_request(tmp_path, cohort):
    policy, like = cohort()
    larger = hounsfield(0, (14, 10, 6))
    nib.save(nib.Nifti1Image(larger, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(UserError, match=r"1 × 6 × 10 × 14 \(channels × slices × rows × columns\), expected 1 × 8 × 10"):
        load(tmp_path, ExternalSpec(), like, policy)
    images, _ = load(tmp_path, ExternalSpec(resize=True), like, policy)
    assert np.array_equal(images.pixels[0, 0, 1:7], expected(larger)[:, :, 1:13])
    assert not images.pixels[0, 0, [0, 7]].any()


def test_the_spacing_is_that_of_the_cohort_where_resizing_is_allowed(tmp_path, cohort):
    policy, _ = cohort(volume=VolumeSpec(shape=SHAPE, spacing_mm=1.0))
    nib.save(nib.Nifti1Image(hounsfield(0, (6, 5, 4)), np.diag([2.0, 2, 2, 1])), tmp_path / "a.nii")
    (volume,) = read_planes(tmp_path, Item("a.nii"), ExternalSpec(resize=True), policy)
    assert volume.shape == (1, 7, 9, 11)


def test_slices_of_an_external_volume_are_those_of_the_cohort(tmp_path, cohort):
    policy, like = cohort(dimensions=2, size=12, slices=SliceSpec(axis="coronal"))
    values = hounsfield(0, (12, 3, 12))
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    images, _ = load(tmp_path, ExternalSpec(axis="coronal"), like, policy)
    assert len(images) == 3
    scaled = np.rint((values[:, 1].T[::-1, ::-1].astype(np.float64) + 1350) / 1500 * 65535)
    assert np.array_equal(images.pixels[1, 0], scaled.astype(np.uint16))


def test_slices_of_colours_are_those_of_the_cohort_and_whole_volumes_have_none(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (12, 12, 2, 3), dtype=np.uint8)
    voxels = values.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii")
    policy = {"mode": "fixed", "low": 0.0, "high": 255.0, "dimensions": 2}
    _, second = read_planes(tmp_path, Item("a.nii"), ExternalSpec(), policy)
    assert np.allclose(second * 255, values[:, :, 1].transpose(2, 1, 0)[:, ::-1, ::-1])
    with pytest.raises(Unreadable, match="grey volumes"):
        read_planes(tmp_path, Item("a.nii"), ExternalSpec(), policy | {"dimensions": 3, "axis": "axial"})


PLACED = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1], "SliceThickness": 2}


def write_series(root, seed, **tags):
    """A series whose files are named in the order of nothing; returns its slices ``[d, h, w]`` from the feet up."""
    slices = np.random.default_rng(seed).integers(0, 1500, SHAPE).astype(np.uint16)
    for number, place in enumerate(np.random.default_rng(seed).permutation(len(slices))):
        tags |= {"SeriesInstanceUID": uid("series", seed), "ImagePositionPatient": [0, 0, 2 * int(place)]}
        save_dicom(root / f"{seed}-{number}.dcm", slices[place], **PLACED, **tags)
    return slices


def in_window(hounsfield_units):
    return np.rint(np.clip((hounsfield_units.astype(np.float64) + 1350) / 1500, 0, 1) * 65535).astype(np.uint16)


def test_dicom_series_become_volumes_and_what_is_no_volume_says_why(tmp_path, cohort):
    policy, like = cohort()
    wanted = [in_window(write_series(tmp_path, seed)) for seed in range(2)]
    save_dicom(tmp_path / "single.dcm", np.zeros(SHAPE[1:], np.uint16), SeriesInstanceUID=uid("other"),
               ImagePositionPatient=[0, 0, 0], **PLACED)  # fmt: skip
    (tmp_path / "notes.txt").write_text("not an image")
    images, refused = load(tmp_path, ExternalSpec(), like, policy)
    assert np.array_equal(images.pixels[:, 0], wanted)
    assert len(set(images.patients.tolist())) == 2
    assert [(row.path, row.reason) for row in refused] == [
        ("notes.txt", "not a PNG, JPEG, TIFF, DICOM, NIfTI, NPZ or HDF5 file"),
        ("single.dcm", "a single slice is no volume"),
    ]


def test_any_file_of_a_series_names_its_volume_in_the_table(tmp_path, cohort):
    policy, like = cohort()
    for seed in range(2):
        write_series(tmp_path, seed)
    (tmp_path / "labels.csv").write_text("path,site\n1-5.dcm,North\n")
    spec = ExternalSpec(table="labels.csv", columns=ExternalColumns(label=None, site="site"))
    images, refused = load(tmp_path, spec, like, policy)
    assert images.groups["site"].tolist() == ["North"]
    assert [row.path for row in refused] == [f"0-{number}.dcm" for number in range(8)]
    (tmp_path / "labels.csv").write_text("path,site\n1-5.dcm,North\n1-6.dcm,South\n")
    with pytest.raises(UserError, match="different things about files of one volume"):
        load(tmp_path, spec, like, policy)


@pytest.mark.parametrize("channel", [(), (0,), (3,)])
def test_rows_of_array_files_are_volumes(tmp_path, cohort, channel):
    policy, like = cohort()
    values = np.random.default_rng(0).integers(-1350, 151, (3, *SHAPE)).astype(np.int16)
    stored = np.expand_dims(values, [axis + 1 for axis in channel])
    np.savez_compressed(tmp_path / "a.npz", images=stored)
    images, _ = load(tmp_path, ExternalSpec(), like, policy)
    assert np.array_equal(images.pixels[:, 0], in_window(values))
    assert len(set(images.patients.tolist())) == 3


def test_array_volumes_do_not_say_their_spacing(tmp_path, cohort):
    write_hdf5(tmp_path / "a.h5", images=np.full((2, 10, 12, 14), 255, np.uint8))
    policy, like = cohort(volume=VolumeSpec(shape=SHAPE, spacing_mm=1.0))
    item, resize = rows_of(tmp_path, "a.h5", ExternalSpec(), volumes=True)[1], ExternalSpec(resize=True)
    with pytest.raises(Unreadable, match=r"array files do not say theirs; set generator\.resize=false"):
        read_planes(tmp_path, item, resize, policy)
    policy, _ = cohort()
    (volume,) = read_planes(tmp_path, item, resize, policy)
    wanted = Wanted(like.pixels.shape[1:], like.pixels.dtype)
    assert (fitted(volume, item.path, resize, wanted, policy) == np.full((1, *SHAPE), 65535)).all()
