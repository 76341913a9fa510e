"""Masks are kept as data: on the grid of their image, with named classes, unknown where there is none."""

import numpy as np
import pytest
from PIL import Image as Picture

from synthassay.cohorts.mask_specs import MaskSpec
from synthassay.cohorts.masks import classes_of, marked
from synthassay.cohorts.phantom.scene import STRUCTURES
from synthassay.cohorts.phantom.simulate import write_phantom
from synthassay.cohorts.phantom.specs import PhantomSpec
from synthassay.cohorts.planes import finish
from synthassay.cohorts.specs import DicomSpec, ImagesSpec, LabelSpec, NiftiSpec, TableSpec
from synthassay.cohorts.volumes import images_of
from synthassay.errors import UserError
from synthassay.records import UNKNOWN_MASK, SilentProgress
from synthassay.scans.planes import RawPlane
from synthassay.scans.volumes import Volume, VolumeSpec

KEEP = MaskSpec(keep=True)
RAW = np.array([[0, 1, 2], [4, 7, 0.5]], np.float32)


@pytest.mark.parametrize(("spec", "names", "classes"), [
    (KEEP, ("background", "mask"), [[0, 1, 1], [1, 1, 1]]),
    (MaskSpec(names=("tumour",)), ("background", "tumour"), [[0, 1, 1], [1, 1, 1]]),
    (MaskSpec(names=("a", "b")), ("background", "a", "b"), [[0, 1, 2], [0, 0, 0]]),
    (MaskSpec(names=("a", "b"), values=(4, 2)), ("background", "a", "b"), [[0, 0, 2], [1, 0, 0]]),
    (MaskSpec(values=(2,)), ("background", "2"), [[0, 0, 1], [0, 0, 0]]),
])  # fmt: skip
def test_values_become_named_classes(spec, names, classes):
    assert spec.class_names == names
    assert classes_of(RAW, spec).tolist() == classes
    assert classes_of(RAW, spec).dtype == np.uint8


def test_values_of_a_scaled_file_are_those_that_were_meant():
    scaled = np.array([[2.0000002, 0.99999994]], np.float32)
    assert classes_of(scaled, MaskSpec(names=("a", "b"))).tolist() == [[2, 1]]
    assert marked(scaled, (1,)).tolist() == [[False, True]]


def test_probabilities_are_no_classes():
    unsure = np.array([[0.4, 0.5, 0.9, 1.0, 1.6]], np.float32)
    assert marked(unsure, (1,)).tolist() == [[False, False, False, True, False]]
    assert classes_of(unsure, MaskSpec(names=("a", "b"))).tolist() == [[0, 0, 0, 1, 0]]


def test_marks_are_the_values_asked_for_or_all_above_0():
    assert marked(RAW, ()).tolist() == [[False, True, True], [True, True, True]]
    assert marked(RAW, (2, 4)).tolist() == [[False, False, True], [True, False, False]]


@pytest.mark.parametrize(("make", "match"), [
    (lambda: MaskSpec(names=("a", "a")), "must not repeat"),
    (lambda: MaskSpec(names=("a", "b"), values=(1,)), "one value for each name"),
    (lambda: MaskSpec(names=("background",)), "class 0"),
    (lambda: MaskSpec(values=(0,)), "greater than or equal to 1"),
    (lambda: DicomSpec(name="x", label=LabelSpec(source="none"), masks=KEEP), "DICOM cohorts have no masks"),
    (lambda: ImagesSpec(name="x", label=LabelSpec(source="none"), masks=KEEP), "masks.keep needs label.mask"),
])  # fmt: skip
def test_settings_that_contradict_each_other(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("shape", [(64, 80), (40, 24), (8, 8)])
def test_a_mask_stays_on_its_image(fit, shape):
    """An image that shows its own mask: after all changes of the grid the two agree but for the rim."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    inside = np.hypot((rows - 0.45 * shape[0]) / shape[0], (columns - 0.6 * shape[1]) / shape[1]) < 0.22
    spec = NiftiSpec(name="v", size=16, fit=fit, label=LabelSpec(source="none"), masks=KEEP)
    plane = RawPlane(values=inside.astype(np.float32), mask=2 * inside.astype(np.float32))
    made = finish([plane, RawPlane(values=plane.values)], spec, "")
    assert made.masks.dtype == np.uint8
    assert 0 < made.masks[0].sum() < 256
    clear = np.abs(made.pixels[0, 0] - 0.5) > 0.45
    assert clear.mean() > 0.7
    assert np.array_equal(made.masks[0][clear], (made.pixels[0, 0] > 0.5)[clear])
    assert (made.masks[1] == UNKNOWN_MASK).all()
    assert (made.planes[0].mask_digest, made.planes[1].digest) != (made.planes[1].mask_digest, "")


def test_the_mask_of_a_volume_is_resampled_turned_and_cut_as_the_volume_is():
    values = np.zeros((20, 24, 12), np.float32)
    values[4:12, 6:18, 3:9] = 3
    values[4:8, 6:18, 3:9] = 10
    affine = np.array([[0, -1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 2.0, 0], [0, 0, 0, 1]])
    rules = VolumeSpec(shape=(16, 20, 28), centre="mask", spacing_mm=(1.0, 1.0, 1.0))
    spec = NiftiSpec(name="v", size=16, dimensions=3, label=LabelSpec(source="none"), volume=rules,
                     masks=MaskSpec(keep=True, values=(3, 10)))  # fmt: skip
    made = images_of(Volume(values=values, affine=affine, mask=values), spec, "")
    assert made.masks.shape == (1, 16, 20, 28)
    assert np.unique(made.masks).tolist() == [0, 1, 2]
    shown = made.pixels[0, 0]
    flat = np.isin(shown, (0, 3, 10))  # elsewhere interpolation has mixed neighbours
    assert flat.mean() > 0.8
    assert np.array_equal(np.array([0, 3, 10])[made.masks[0]][flat], shown[flat])
    without = images_of(Volume(values=values, affine=affine), spec.model_copy(update={"volume": VolumeSpec()}), "")
    assert (without.masks == UNKNOWN_MASK).all()


def test_a_cohort_keeps_masks_and_says_whose_are_unknown(bids_tree, scans, prepare):
    root = bids_tree(8)
    (root / "derivatives/masks/sub-03/anat/sub-03_mask.nii.gz").unlink()
    table = TableSpec(path="participants.tsv", join_on="patient", patient="participant_id", label="site", age="age")
    label = LabelSpec(source="table", mask="derivatives/masks/{folder}/{prefix}_mask.nii.gz")
    plain = prepare(scans.bids_spec(table=table, label=label, size=16), root)
    spec = scans.bids_spec(table=table, label=label, size=16, masks=MaskSpec(keep=True, names=("tumour",)))
    cohort = prepare(spec, root)
    images = cohort.images
    assert images.mask_names == ("background", "tumour")
    assert images.masks.shape == (32, 16, 16)
    assert not images.masks.flags.writeable
    assert images.mask_known.sum() == 28
    assert np.isin(images.masks[images.mask_known], (0, 1)).all()
    slices = np.array([record.slice_index for record in cohort.records])
    assert [int((images.masks[(slices == i) & images.mask_known] == 1).sum()) for i in range(4)] == [0, 7 * 9, 0, 0]
    assert any("1 of 8 scans have no mask" in note for note in cohort.notes)
    assert plain.images.masks is None
    assert np.array_equal(plain.images.pixels, images.pixels)
    part = images.take(images.mask_known)
    assert part.mask_known.all()
    assert part.content_id != images.content_id != plain.images.content_id


def test_masks_that_nobody_has_are_a_mistake(bids_tree, scans, prepare):
    table = TableSpec(path="participants.tsv", join_on="patient", patient="participant_id", label="site")
    label = LabelSpec(source="table", mask="elsewhere/{name}.nii.gz")
    with pytest.raises(UserError, match="none of 8 scans has a mask"):
        prepare(scans.bids_spec(table=table, label=label, masks=KEEP), bids_tree(8))


@pytest.mark.parametrize("values", [(1, 2), (1, 200)])
def test_class_numbers_of_16_bits_are_found_and_numbers_that_no_mask_has_are_a_mistake(
    image_tree, scans, prepare, values
):
    root = image_tree(10)
    for number in range(20):
        mask = np.zeros((24, 30), np.uint16)
        mask[5:15, 5:15], mask[15:20, 5:15] = values
        Picture.fromarray(mask).save(root / f"png/{number:03d}_m.png")
    label = LabelSpec(source="table", mask="{folder}/{name}_m.png")
    images = prepare(scans.images_spec(label=label, masks=MaskSpec(keep=True, names=("a", "b"), values=values)), root)
    assert np.unique(images.images.masks).tolist() == [0, 1, 2]
    with pytest.raises(UserError, match=r"no mask of 20 images has a value that counts \(77\)"):
        prepare(scans.images_spec(label=label, masks=MaskSpec(keep=True, values=(77,))), root)


def test_pictures_keep_the_masks_beside_them(image_tree, scans, prepare):
    root = image_tree(10)
    for number in range(0, 20, 2):
        Picture.fromarray(np.tri(24, 30, dtype=np.uint8) * 255).save(root / f"png/{number:03d}_m.png")
    label = LabelSpec(source="table", mask="{folder}/{name}_m.png")
    images = prepare(scans.images_spec(label=label, masks=KEEP), root).images
    assert images.mask_known.sum() == 10
    assert (images.masks[images.mask_known].mean((1, 2)) > 0.3).all()


def test_the_phantom_keeps_what_it_knows_of_its_anatomy(tmp_path, scans, prepare, shipped):
    plans = [plan.model_copy(update={"patients": 8}) for plan in PhantomSpec().sites[:2]]
    phantom = PhantomSpec(size=64, sites=tuple(plans))
    write_phantom(phantom, tmp_path / "phantom", SilentProgress())
    spec = shipped("phantom", "cohort.masks.keep=true", "cohort.size=32", "cohort.split.external_sites=[]")
    cohort = prepare(spec, tmp_path / "phantom" / "dicom")
    images = cohort.images
    assert images.mask_names == STRUCTURES
    assert images.mask_known.all()
    shows = (images.masks == STRUCTURES.index("lesion")).any((1, 2))
    assert np.array_equal(shows, images.labels == images.label_names.index("lesion"))
    bright = images.pixels[:, 0]
    assert bright[images.masks == 0].mean() < 0.2 * bright[images.masks == 2].mean()  # air against brain
    assert bright[images.masks == 3].mean() < 0.75 * bright[images.masks == 2].mean()  # fluid is dark
