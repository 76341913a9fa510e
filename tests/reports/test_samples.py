import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from synthassay.reports.data import CopiedPair, GridCell
from synthassay.reports.images import montage, png_uri
from synthassay.reports.samples import pairs, samples


def _decode(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_pixels_survive_the_way_into_the_page():
    grey = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    colour = np.arange(36, dtype=np.uint8).reshape(3, 3, 4)
    assert np.array_equal(_decode(png_uri(grey)), grey[0])
    assert np.array_equal(_decode(png_uri(colour)), colour.transpose(1, 2, 0))
    two = np.stack([grey[0], 255 - grey[0]])
    assert np.array_equal(_decode(png_uri(two)), two[0]), "of two channels the first is shown"


def test_a_montage_lays_images_in_rows_with_a_gap():
    sheet = montage(np.full((3, 1, 2, 2), 9, np.uint8), 2)
    assert sheet.shape == (1, 5, 5)
    assert (sheet[0, :2, :2] == 9).all()
    assert (sheet[0, 2] == 0).all()
    assert (sheet[0, 3:, 3:] == 0).all()


def test_real_images_stand_first_and_one_row_is_one_label_at_one_site(made_up):
    grid = samples(made_up)
    assert grid.columns[0].role == "real"
    assert [column.name for column in grid.columns[1:4]] == ["edm", "gan", "vae"]
    assert [(row.label, row.site) for row in grid.rows][:2] == [("clear", "Northfield"), ("clear", "Weir Road")]
    assert grid.rows[3].cells[3] is None, "vae has no lesion at Weir Road"


def test_a_set_without_sites_is_shown_in_the_rows_of_every_site(made_up):
    images = np.zeros((1, 1, 4, 4), np.uint8)
    cells = [GridCell(set_name="real", label="l", site=s, images=images) for s in ("A", "B")]
    cells.append(GridCell(set_name="edm", label="l", site="", images=images))
    grid = samples(replace(made_up, grids=cells))
    assert [(row.site, [c is not None for c in row.cells]) for row in grid.rows] == [
        ("A", [True, True]),
        ("B", [True, True]),
    ]


def test_wide_pictures_such_as_planes_of_a_volume_stand_below_one_another(made_up):
    cell = GridCell(set_name="real", label="l", site="", images=np.zeros((6, 1, 8, 24), np.uint8))
    ((picture,),) = [row.cells for row in samples(replace(made_up, grids=[cell])).rows]
    assert (picture.width, picture.height) == (24, 6 * 9 - 1)


def test_images_without_a_label_have_rows_of_their_own(made_up):
    images = np.zeros((1, 1, 4, 4), np.uint8)
    cells = [GridCell(set_name="real", label="l", site=s, images=images) for s in ("A", "B")]
    cells += [GridCell(set_name="elsewhere", label="no label", site=s, images=images) for s in ("", "A")]
    cells.append(GridCell(set_name="bare", label="no label", site="", images=images))
    grid = samples(replace(made_up, grids=cells))
    assert [column.name for column in grid.columns] == ["real", "elsewhere", "bare"]
    assert [(row.label, row.site, [c is not None for c in row.cells]) for row in grid.rows] == [
        ("l", "A", [True, False, False]),
        ("l", "B", [True, False, False]),
        ("no label", "", [False, True, True]),
        ("no label", "A", [False, True, True]),
    ]


def test_labels_and_sites_without_a_row_are_counted(made_up):
    assert "Not shown" not in samples(made_up).explained
    many = replace(made_up, grid_left_out={"site": 288, "label": 1})
    assert samples(many).explained.endswith(" Not shown: 288 sites and 1 label.")
    assert samples(replace(made_up, grid_left_out={"site": 0, "label": 2})).explained.endswith(" Not shown: 2 labels.")


def test_small_images_are_shown_as_pixels_and_large_ones_smoothly(made_up):
    for size, kind in ((64, "pixelated"), (256, "smooth")):
        cell = GridCell(set_name="edm", label="l", site="", images=np.zeros((1, 1, size, size), np.uint8))
        assert samples(replace(made_up, grids=[cell])).rows[0].cells[0].kind == kind


def test_pairs_stand_by_set_the_most_alike_first_and_unscored_ones_are_left_out(made_up):
    image = np.zeros((1, 4, 4), np.uint8)
    scores = {"oracle": (0.1,), "edm": (0.9, 0.2, float("nan"))}
    given = [CopiedPair(generator=g, synthetic=image, train=image, score=s, space="pixel")
             for g, values in scores.items() for s in values]  # fmt: skip
    groups = pairs(replace(made_up, pairs=given))
    assert [(group.title, [pair.score for pair in group.pairs]) for group in groups] == [
        ("edm", ["0.20", "0.90"]), ("oracle", ["0.10"]),
    ]  # fmt: skip


def test_images_of_another_type_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        GridCell(set_name="edm", label="", site="", images=np.zeros((1, 1, 4, 4)))
    with pytest.raises(ValueError, match=r"\[c, h, w\]"):
        CopiedPair(generator="e", synthetic=np.zeros((4, 4), np.uint8), train=np.zeros((1, 4, 4), np.uint8), score=0.0,
                   space="pixel")  # fmt: skip
