"""External NIfTI sets pass the cohort's policy: its window, its spacing, and its shape where images are volumes."""

import nibabel as nib
import numpy as np
import pytest

from synthassay.cohorts.intensity import make_policy
from synthassay.cohorts.specs import LabelSpec, NiftiSpec, SliceSpec, WindowSpec
from synthassay.errors import UserError
from synthassay.generators.external.specs import ExternalSpec
from synthassay.records import ImageSet
from synthassay.scans.volumes import VolumeSpec
from tests.generators.external.made_up import load, write_pictures

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
    policy, like = cohort(volume=VolumeSpec(shape=SHAPE, spacing_mm=1.0))
    coarse = nib.Nifti1Image(hounsfield(0, (6, 5, 4)), np.diag([2.0, 2, 2, 1]))
    nib.save(coarse, tmp_path / "a.nii")
    images, _ = load(tmp_path, ExternalSpec(resize=True), like, policy)
    content = images.pixels[0, 0] > 0
    assert [int(content.any(axis).sum()) >= 50 for axis in range(3)] == [True] * 3  # it fills the box, not an eighth


def test_slices_of_an_external_volume_are_those_of_the_cohort(tmp_path, cohort):
    policy, like = cohort(dimensions=2, size=12, slices=SliceSpec(axis="coronal"))
    values = hounsfield(0, (12, 3, 12))
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    images, _ = load(tmp_path, ExternalSpec(axis="coronal"), like, policy)
    assert len(images) == 3
    scaled = np.rint((values[:, 1].T[::-1, ::-1].astype(np.float64) + 1350) / 1500 * 65535)
    assert np.array_equal(images.pixels[1, 0], scaled.astype(np.uint16))
