"""Planted copies: each alteration does what it says and nothing else."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from synthassay.errors import UserError
from synthassay.generators.planting import COPY_KINDS, alter, copy_panel, spread_rows
from synthassay.records import ImageSet


def images(n=6, channels=1, dtype=np.uint8, size=32, patients=None, seed=0):
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.normal(size=(n, channels, size, size)), (0, 0, 2, 2))
    top = np.iinfo(dtype).max
    pixels = np.rint(np.clip(0.5 + fields, 0, 1) * top).astype(dtype)
    names = np.array([f"p{i}" for i in range(n)] if patients is None else patients)
    return ImageSet(
        name="train", origin="real", pixels=pixels, ids=np.array([f"i{i}" for i in range(n)]), patients=names,
        labels=np.arange(n) % 2, label_names=("none", "lesion"), groups={"site": np.array(["A", "B"] * n)[:n]},
    )  # fmt: skip


SEEDS = np.arange(6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", COPY_KINDS)
def test_alterations_keep_shape_and_dtype_repeat_and_leave_their_input(kind, channels, dtype):
    source = images(channels=channels, dtype=dtype).pixels
    before = source.copy()
    altered = alter(source, kind, SEEDS)
    assert altered.shape == source.shape
    assert altered.dtype == source.dtype
    np.testing.assert_array_equal(altered, alter(source, kind, SEEDS))
    np.testing.assert_array_equal(source, before)
    assert (altered != source).any() == (kind != "exact")


@pytest.mark.parametrize("kind", COPY_KINDS)
def test_a_row_depends_on_its_image_and_seed_only(kind):
    source = images().pixels
    rows = np.array([4, 1])
    np.testing.assert_array_equal(alter(source[rows], kind, SEEDS[rows]), alter(source, kind, SEEDS)[rows])


def test_exact_copies_share_no_memory():
    source = images().pixels
    assert not np.shares_memory(alter(source, "exact", SEEDS), source)


def test_mirrored_exchanges_left_and_right_only():
    source = images(channels=3).pixels
    np.testing.assert_array_equal(alter(source, "mirrored", SEEDS)[:, :, 3, 5], source[:, :, 3, -6])


def test_rotation_is_by_five_degrees_either_way():
    source = images(40, size=64).pixels
    rotated = alter(source, "rotated", np.arange(40))
    left = np.stack([ndimage.rotate(i[0].astype(float), 5, reshape=False, order=1, mode="nearest") for i in source])
    right = np.stack([ndimage.rotate(i[0].astype(float), -5, reshape=False, order=1, mode="nearest") for i in source])
    is_left = np.abs(rotated[:, 0] - left).max(axis=(1, 2)) <= 0.5
    is_right = np.abs(rotated[:, 0] - right).max(axis=(1, 2)) <= 0.5
    assert (is_left ^ is_right).all()
    assert 8 <= is_left.sum() <= 32


def test_rotation_repeats_the_edge_instead_of_filling_with_black():
    source = np.full((1, 1, 32, 32), 200, np.uint8)
    np.testing.assert_array_equal(alter(source, "rotated", np.array([0])), source)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_noise_has_the_stated_deviation_and_wraps_nowhere(dtype):
    top = np.iinfo(dtype).max
    grey = np.full((4, 1, 64, 64), top // 2, dtype)
    difference = alter(grey, "noise", np.arange(4)).astype(float) - grey
    assert difference.std() / top == pytest.approx(0.05, rel=0.03)
    assert abs(difference.mean()) / top < 0.002
    assert alter(np.full((1, 1, 64, 64), top, dtype), "noise", np.array([0])).min() > top // 2
    assert alter(np.zeros((1, 1, 64, 64), dtype), "noise", np.array([0])).max() < top // 2


def test_jpeg_is_pillows_at_quality_75():
    source = images(channels=3, size=48).pixels[:1]
    memory = io.BytesIO()
    Image.fromarray(np.moveaxis(source[0], 0, -1)).save(memory, format="JPEG", quality=75)
    expected = np.moveaxis(np.asarray(Image.open(memory)), -1, 0)
    np.testing.assert_array_equal(alter(source, "jpeg", np.array([3]))[0], expected)


def test_jpeg_of_16_bits_keeps_the_full_range():
    source = images(dtype=np.uint16).pixels
    altered = alter(source, "jpeg", SEEDS)
    assert np.abs(altered.astype(float) - source).mean() / 65535 < 0.02


@pytest.mark.parametrize("kind", ["mirrored", "rotated", "jpeg"])
def test_volumes_are_altered_slice_by_slice(kind):
    subject = images().pixels
    volume = np.stack([subject, subject[:, :, ::-1]], axis=2)
    altered = alter(volume, kind, SEEDS)
    for place, flat in enumerate((subject, subject[:, :, ::-1])):
        np.testing.assert_array_equal(altered[:, :, place], alter(flat, kind, SEEDS))


def test_one_seed_per_image_is_required():
    with pytest.raises(ValueError, match="2 seeds for 6 images"):
        alter(images().pixels, "noise", np.arange(2))


def test_rows_are_spread_over_patients_before_any_gives_two():
    patients = np.array(["a"] * 10 + ["b"] * 3 + ["c"])
    rows = spread_rows(patients, 14, "t", 0)
    assert sorted(rows) == list(range(14))
    assert set(patients[rows[:3]]) == {"a", "b", "c"}
    assert sorted(patients[rows[3:5]]) == ["a", "b"]
    again = spread_rows(patients, 30, "t", 0)
    np.testing.assert_array_equal(again[:14], rows)
    assert (np.bincount(again) >= 2).all()


def test_spread_does_not_depend_on_what_the_patients_are_called():
    patients = np.array(["a", "a", "b", "c", "c"])
    renamed = np.array(["z", "z", "m", "a", "a"])
    np.testing.assert_array_equal(spread_rows(patients, 5, "t", 1), spread_rows(renamed, 5, "t", 1))


def test_panel_has_one_altered_image_of_each_of_many_patients():
    train = images(90, patients=[f"p{i // 2}" for i in range(90)])
    panel = copy_panel(train, patients_per_kind=35, seed=3)
    assert tuple(panel) == COPY_KINDS
    for kind, planted in panel.items():
        assert len(planted) == len(set(planted.patients)) == 35
        assert set(planted.patients) <= set(train.patients)
        assert (planted.origin, planted.split) == ("control", None)
        assert planted.ids[0] == f"panel-{kind}-000000"
    exact = panel["exact"]
    for pixels, patient, label in zip(exact.pixels, exact.patients, exact.labels, strict=True):
        own = np.flatnonzero(train.patients == patient)
        assert any((train.pixels[i] == pixels).all() and train.labels[i] == label for i in own)


def test_panel_takes_every_patient_where_there_are_few():
    panel = copy_panel(images(6, patients=list("aabbcc")), ("mirrored",), patients_per_kind=35)
    assert len(panel["mirrored"]) == 3


def test_panel_without_training_images_is_refused():
    with pytest.raises(UserError, match="no generator-train image"):
        copy_panel(images().take(np.zeros(6, bool)))


def test_panel_content_follows_the_seed_not_the_pseudonyms():
    train = images(40)
    renamed = replace(train, patients=train.patients[::-1].copy(), content_id="")
    first = copy_panel(train, ("rotated",), 10, 1)["rotated"]
    np.testing.assert_array_equal(first.pixels, copy_panel(renamed, ("rotated",), 10, 1)["rotated"].pixels)
    assert (first.pixels != copy_panel(train, ("rotated",), 10, 2)["rotated"].pixels).any()
