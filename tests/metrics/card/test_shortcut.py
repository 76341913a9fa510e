from dataclasses import replace

import numpy as np
import pytest

from synthassay.metrics.card import shortcut
from synthassay.metrics.card.pixels import pixel_facts
from synthassay.metrics.card.shortcut import shortcut_rows
from synthassay.metrics.card.subject import Subject
from synthassay.records import SilentProgress

TWO = ["A"] * 30 + ["B"] * 30


@pytest.fixture(autouse=True)
def fewer(monkeypatch):
    monkeypatch.setattr(shortcut, "SHUFFLES", 60)
    monkeypatch.setattr(shortcut, "REPLICATES", 200)


def told(subject, seed=0):
    return list(shortcut_rows(subject, pixel_facts(subject, SilentProgress()), seed))


def test_a_brighter_site_is_told_from_pixels(make_subject):
    (row,) = told(make_subject(TWO, brighter="B"))
    assert (row.group, row.against, row.n_patients, row.status) == ("site=A", "site=B", 30, "ok")
    assert row.value > 0.9
    assert row.ci_low > row.floor_ci_high
    assert 0.4 < row.floor < 0.6


def test_places_that_never_overlap_are_not_known_to_be_told_without_error(make_images):
    images = make_images(TWO)
    images.pixels[90:, :, :8] //= 2
    (row,) = told(Subject(images, {}))
    assert row.value == row.ci_high == 1
    assert 0.85 < row.ci_low < 1


def test_equal_sites_are_not_told_even_where_each_patient_is_known_by_heart(make_subject):
    """A model that could see other images of a patient would know the site of every one."""
    (row,) = told(make_subject(TWO, each=6, own_pattern=0.2))
    assert row.ci_low < 0.6
    assert row.floor_ci_low <= row.value <= row.floor_ci_high + 0.1


def test_three_sites_have_a_row_each_and_one_together(make_subject):
    rows = told(make_subject(["A"] * 25 + ["B"] * 25 + ["C"] * 12 + ["D"] * 3, brighter="C"))
    by_group = {row.group: row for row in rows}
    assert by_group["site=D"].note == "3 patients, fewer than 10"
    assert by_group["site=C"].status == "descriptive"
    assert by_group["site=C"].value > 0.9
    assert by_group["all"].value == pytest.approx(np.mean([by_group[f"site={name}"].value for name in "ABC"]), abs=1e-6)
    assert by_group["all"].n_patients == 12


def test_one_place_of_enough_patients_is_insufficient_evidence(make_subject):
    rows = told(make_subject(["A"] * 30 + ["B"] * 4))
    assert [(row.status, row.value) for row in rows] == [("absent", None), ("insufficient evidence", None)]
    assert rows[-1].note == "only one site has 10 patients or more, and two are needed"


def test_of_many_places_those_with_the_most_patients_are_told_apart(make_subject, monkeypatch):
    monkeypatch.setattr(shortcut, "MOST_PLACES", 2)
    rows = told(make_subject(["A"] * 10 + ["B"] * 14 + ["C"] * 12))
    assert [(row.group, row.note) for row in rows if row.status == "absent"] == [
        ("site=A", "not among the 2 with the most patients")
    ]
    assert [(row.group, row.against) for row in rows if row.value is not None] == [("site=B", "site=C")]


def test_blocks_of_shuffles_do_not_change_what_is_reached(make_subject, monkeypatch):
    subject = make_subject(TWO)
    whole = told(subject)
    monkeypatch.setattr(shortcut, "BLOCK", 1)
    (one,), (other,) = whole, told(subject)
    assert other.value == pytest.approx(one.value, abs=1e-6)
    assert other.floor == pytest.approx(one.floor, abs=1e-6)


def test_another_pseudonym_key_gives_the_same_numbers(make_images):
    images = make_images(TWO, brighter="B")
    renamed = replace(images, patients=np.char.add("x", images.patients[::-1])[::-1], content_id="")
    assert told(Subject(images, {})) == told(Subject(renamed, {}))


def test_a_patient_of_two_places_counts_at_the_first(make_images):
    images = make_images(TWO, brighter="B")
    images.groups["site"][2] = "B"
    (row,) = told(Subject(images, {}))
    assert row.n_images == 89


def test_places_that_share_all_their_patients_have_a_reason_and_no_number(make_images):
    images = make_images(TWO)
    images.groups["site"][:] = np.resize(["A", "A", "B"], len(images))  # as where each sequence has its own scanner
    rows = told(Subject(images, {}))
    assert [(row.group, row.status, row.value) for row in rows] == [
        ("site=B", "absent", None), ("all", "insufficient evidence", None)
    ]  # fmt: skip
    assert rows[0].note.startswith("fewer than 10 of its patients count here")
    assert rows[1].note == "only one site has 10 patients or more who count there, and two are needed"


def test_a_third_place_that_shares_its_patients_leaves_the_others_comparable(make_images):
    images = make_images(TWO, brighter="B")
    images.groups["site"][2::3] = "C"
    rows = told(Subject(images, {}))
    assert [(row.group, row.against, row.status) for row in rows] == [
        ("site=C", "", "absent"), ("site=A", "site=B", "ok")
    ]  # fmt: skip
