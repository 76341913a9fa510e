"""Rows of NPZ and HDF5 files as images of an external set."""

import numpy as np
import pytest
from pydantic import ValidationError

from synthassay.errors import UserError
from synthassay.generators.external.specs import ExternalArrays, ExternalColumns, ExternalSpec
from tests.generators.external.made_up import (
    POLICY,
    TABLE,
    like,
    load,
    picture,
    refused,
    windowed,
    write_hdf5,
    write_pictures,
)

ROWS = np.stack([picture(i) for i in range(4)])


def save(path, **arrays):
    np.savez_compressed(path, **arrays) if path.suffix == ".npz" else write_hdf5(path, **arrays)


@pytest.mark.parametrize("name", ["a.npz", "a.h5", "A.HDF5"])
def test_each_row_is_an_image_of_its_own_in_the_order_of_paths_and_rows(tmp_path, name):
    save(tmp_path / name, images=ROWS, others=ROWS)
    write_pictures(tmp_path, 1)
    images, quarantined = load(tmp_path, workers=2)
    np.testing.assert_array_equal(images.pixels[:, 0], [*ROWS, picture(0)])
    assert len(set(images.patients.tolist())) == 5
    assert quarantined == ()


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (picture(size=(4, 8, 8, 1)), lambda v: v[..., 0]),
        (picture(size=(4, 8, 8), dtype=np.uint16), lambda v: np.rint(v / 257)),
        (picture(size=(4, 8, 8)) > 100, lambda v: 255 * v),
        (np.linspace(50, 350, 256).reshape(4, 8, 8), windowed),
        (picture(size=(4, 8, 8)).astype(np.int16), windowed),
    ],
    ids=["one channel", "uint16", "bool", "float", "int16"],
)
def test_whole_depths_keep_their_range_and_other_numbers_pass_the_window(tmp_path, stored, expected):
    save(tmp_path / "a.npz", images=stored)
    np.testing.assert_array_equal(load(tmp_path)[0].pixels[:, 0], expected(stored))


def test_a_range_says_what_is_black_and_white(tmp_path):
    save(tmp_path / "a.npz", images=ROWS / np.float32(127.5) - 1)
    images, _ = load(tmp_path, ExternalSpec(arrays=ExternalArrays(range=(-1, 1))))
    np.testing.assert_array_equal(images.pixels[:, 0], ROWS)
    with pytest.raises(ValidationError, match="black must be below white"):
        ExternalArrays(range=(1, 1))


def test_colours_are_the_last_axis(tmp_path):
    colour = picture(size=(2, 8, 8, 3))
    save(tmp_path / "a.h5", images=colour)
    np.testing.assert_array_equal(load(tmp_path, shape=like(3))[0].pixels, np.moveaxis(colour, -1, 1))


def test_a_row_that_is_a_volume_gives_its_slices_of_one_unit(tmp_path):
    volumes = picture(size=(2, 5, 8, 8))
    save(tmp_path / "a.npz", images=volumes)
    images, _ = load(tmp_path, ExternalSpec(every_n=2))
    np.testing.assert_array_equal(images.pixels[:, 0], volumes[:, ::2].reshape(6, 8, 8))
    assert images.patients.tolist() == ["external-000000"] * 3 + ["external-000003"] * 3


@pytest.mark.parametrize(
    ("arrays", "found", "reason"),
    [
        ({"samples": ROWS}, "1 others", "no array is called as arrays.images says"),
        ({"images": np.zeros((1, 3, 8, 8), np.uint8)}, "3x8x8", "three colours first"),
        ({"images": np.zeros((1, 8, 8, 4), np.uint8)}, "8x8x4", "neither a grey image"),
        ({"images": np.zeros((1, 8), np.uint8)}, "8", "neither a grey image"),
        ({"images": np.full((1, 8, 8), np.nan)}, "NaN or infinite values", "holds NaN"),
        ({"images": np.array(["a"])}, "text", "not an array of numbers"),
    ],
)
def test_what_is_no_image_is_quarantined(tmp_path, arrays, found, reason):
    write_pictures(tmp_path, 1)
    save(tmp_path / "z.npz", **arrays)
    row = refused(tmp_path)
    assert row.found == found
    assert reason in row.reason


def test_a_damaged_array_file_costs_no_other(tmp_path):
    write_pictures(tmp_path, 1)
    save(tmp_path / "z.npz", images=ROWS)
    (tmp_path / "z.npz").write_bytes((tmp_path / "z.npz").read_bytes()[:200])
    assert refused(tmp_path).path == "z.npz"


def test_the_table_names_rows(tmp_path):
    for name in ("a.npz", "b.npz"):
        save(tmp_path / name, images=ROWS)
    rows = ["a.npz/images/2,lesion", "a.npz/images/000000,no finding", "a.npz/images/9,lesion", "c.npz/images/0,lesion"]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
    images, quarantined = load(tmp_path, TABLE)
    np.testing.assert_array_equal(images.pixels[:, 0], ROWS[[0, 2]])
    assert images.labels.tolist() == [0, 1]
    assert {(row.path, row.reason) for row in quarantined} == {
        ("a.npz/images/000001", "not listed in the table"), ("a.npz/images/000003", "not listed in the table"),
        ("a.npz/images/000009", "listed in the table, not found"), ("b.npz", "not listed in the table"),
        ("c.npz/images/000000", "listed in the table, not found"),
    }  # fmt: skip


def test_a_table_that_names_a_whole_array_file_is_told_how_rows_are_named(tmp_path):
    save(tmp_path / "a.npz", images=ROWS)
    (tmp_path / "labels.csv").write_text("path,label\na.npz,lesion\n")
    with pytest.raises(UserError, match="the table names its rows, as FILE/ARRAY/ROW"):
        load(tmp_path, TABLE)


def test_an_array_of_labels_lies_beside_its_images(tmp_path):
    arrays = {"a_images": ROWS, "a_labels": np.array([[1], [0], [1], [0]]), "b_images": ROWS[:1],
              "b_labels": np.array(["lesion"])}  # fmt: skip
    save(tmp_path / "a.npz", **arrays)
    spec = ExternalSpec(arrays=ExternalArrays(images="*_images", labels="*_labels"))
    assert load(tmp_path, spec)[0].labels.tolist() == [1, 0, 1, 0, 1]
    save(tmp_path / "a.npz", a_images=ROWS, a_labels=np.array([1, 0, 1, 2]))
    with pytest.raises(UserError, match=r"a\.npz/a_images/000003 has the label '2'[\s\S]*'lesion' \(1\)"):
        load(tmp_path, spec)


def test_labels_have_one_place(tmp_path):
    arrays = ExternalArrays(labels="labels")
    with pytest.raises(ValidationError, match="labels come from the table or from arrays"):
        ExternalSpec(table="labels.csv", arrays=arrays)
    assert ExternalSpec(table="labels.csv", columns=ExternalColumns(label=None), arrays=arrays).table


def test_a_limit_draws_rows_of_all_files(tmp_path):
    for name, first in (("a.npz", 0), ("b.h5", 100)):
        save(
            tmp_path / name,
            images=np.arange(first, first + 50, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8),
        )
    drawn = load(tmp_path, ExternalSpec(images=20))[0].pixels[:, 0, 0, 0].tolist()
    assert drawn == sorted(set(drawn))
    assert len(drawn) == 20
    assert 5 < sum(value < 100 for value in drawn) < 15


def test_windows_of_headers_leave_floats_without_a_range_unused(tmp_path):
    save(tmp_path / "a.npz", images=ROWS / 255.0)
    policy = POLICY | {"mode": "header", "low": 0.0, "high": 1.0}
    with pytest.raises(UserError, match=r"give generator\.arrays\.range"):
        load(tmp_path, policy=policy)
    spec = ExternalSpec(arrays=ExternalArrays(range=(0, 1)))
    np.testing.assert_array_equal(load(tmp_path, spec, policy=policy)[0].pixels[:, 0], ROWS)
