"""Strips of counterfactuals on the page, and what is left of them on a released one."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from synthassay.reports.counterfactuals import NOTHING_ELSE, counterfactuals
from synthassay.reports.data import Strip
from synthassay.reports.html import write_report
from tests.reports.conftest import EVIL


def strip(**changes) -> Strip:
    images = np.full((2, 3, 1, 8, 8), 100, np.uint8)
    images[:, 1] += 20
    images[:, 2] -= 5
    unseen = np.array([[False, False, True], [False, False, False]])
    plain = {
        "generator": "edm", "column": "device", "values": ("Weir A", "Weir B", EVIL), "reference": 0, "left_out": 2,
        "images": images, "others": ("lesion", ""), "unseen": unseen, "change": 0.05, "other": 0.2, "share": 0.25,
        "ci_low": 0.2, "ci_high": 0.3, "seeds": 10,
    }  # fmt: skip
    return Strip(**{**plain, **changes})


def _decode(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_pictures_stand_above_their_differences_from_the_reference(made_up):
    section = counterfactuals(replace(made_up, strips=[strip()]))
    (figure,) = section.strips
    assert [row.title for row in figure.rows] == ["lesion", NOTHING_ELSE]
    assert [role for _, role in figure.heads] == ["reference", "", ""]
    assert (figure.gain, "2 rarer values left out" in figure.detail) == (12, True)  # 12 × 20 is not yet white
    first, second, third = figure.rows[0].cells
    assert first.difference is None
    assert (_decode(second.picture) == 120).all()
    assert (_decode(second.difference) == 240).all()
    assert (_decode(third.difference) == 60).all()
    assert [cell.unseen for cell in figure.rows[0].cells] == [False, False, True]


def test_numbers_stand_beside_them_and_nothing_is_claimed_without_a_ratio(made_up):
    rows = counterfactuals(replace(made_up, strips=[strip(), strip(share=None, ci_low=None, ci_high=None)])).table.rows
    assert [cell.text for cell in rows[0].cells] == ["edm", "device", "5.0%", "20.0%", "0.25", "10"]
    assert rows[0].cells[4].minor == "0.20 to 0.30"
    assert rows[1].cells[4].text == "–"
    assert "same image" in rows[1].cells[4].reason


def test_a_picture_that_does_not_change_has_a_black_difference(made_up):
    (figure,) = counterfactuals(replace(made_up, strips=[strip(images=np.zeros((2, 3, 3, 8, 8), np.uint8))])).strips
    assert not _decode(figure.rows[0].cells[1].difference).any()


def test_the_page_marks_what_training_did_not_show_and_escapes_names(made_up, tmp_path):
    page = write_report(replace(made_up, strips=[strip()]), tmp_path).read_text()
    assert 'href="#counterfactuals"' in page
    assert page.count("<span>not seen together in training</span>") == 1
    assert EVIL not in page


def test_a_release_keeps_the_numbers_alone(made_up, tmp_path):
    page = write_report(replace(made_up, strips=[strip()], audience="release"), tmp_path).read_text()
    assert "Condition ÷ seed" in page
    assert "data:image" not in page
    for word in ("Weir A", "not seen together"):
        assert word not in page


def test_without_strips_there_is_no_section(made_up):
    assert counterfactuals(made_up) is None


def test_parts_that_do_not_belong_together_are_an_error():
    with pytest.raises(ValueError, match="do not belong together"):
        strip(values=("a", "b"))
