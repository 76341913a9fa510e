"""What `synthassay prepare` says when it is done."""

from dataclasses import replace

import numpy as np

from synthassay.cli.cohort_tables import MOST_ROWS, cohort_tables
from synthassay.records import Cohort, CohortTable, Quarantined
from tests.features.sets import image_set


def cohort(**changes):
    """Six images of three patients at two sites."""
    images = image_set(np.zeros((6, 1, 8, 8), np.uint8), np.array(list("aabbcc")))
    places = {"site": np.array(["N"] * 4 + ["S", ""]), "device": np.array(["X"] * 6)}
    images = replace(images, groups=places, content_id="")
    splits = np.array(["generator-train"] * 4 + ["test"] * 2)
    facts = {"name": "c", "label": "l", "positive": 1, "policy": {}, "records": (), "splits": splits}
    return Cohort(images=images, **{**facts, **changes})


def test_long_tables_are_cut_and_say_so():
    rows = tuple((f"name {number}", f"{number:,}") for number in range(MOST_ROWS + 3))
    table = CohortTable(title="Names", columns=("Name", "Files"), rows=rows, note="A sentence.")
    text = cohort_tables(cohort(tables=[table, CohortTable(title="Empty", columns=("A",), rows=())]))
    assert text.startswith("Names\nA sentence.\n")
    assert "name 11" in text
    assert "name 12" not in text
    assert "and 3 more on the page" in text
    assert "Empty" not in text


def test_what_moves_the_cursor_is_not_printed():
    table = CohortTable(title="T", columns=("A",), rows=(("x\x1b[2J",),))
    assert "\x1b" not in cohort_tables(cohort(tables=[table], notes=["y\x1b[2J"]))


def test_patients_and_images_are_counted_by_split_site_and_device():
    lines = [line.split() for line in cohort_tables(cohort()).splitlines()]
    assert ["all", "3", "6"] in lines
    assert ["split", "generator-train", "2", "4"] in lines
    assert ["split", "test", "1", "2"] in lines
    assert ["site", "N", "2", "4"] in lines
    assert ["site", "not", "stated", "1", "1"] in lines
    assert ["device", "X", "3", "6"] in lines


def test_files_that_are_not_used_are_counted_by_reason_and_notes_are_listed():
    refused = [Quarantined(path=f"f-{i}", field="PixelData", found="x", reason="damaged") for i in range(3)]
    text = cohort_tables(cohort(quarantined=refused, notes=["No site is held out."]))
    assert "damaged  PixelData      3" in text
    assert "f-0" not in text
    assert text.endswith("- No site is held out.")
    assert "not used" not in cohort_tables(cohort())
