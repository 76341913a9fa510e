from dataclasses import replace

from synthassay.reports.html import write_report
from synthassay.reports.release_card import published_card
from synthassay.reports.suppression import WITHHELD
from tests.reports.cards import make_card, share


def published(rows=(), **wanted):
    card = make_card()
    made = published_card(replace(card, rows=[*card.rows, *rows])).rows
    return [row for row in made if all(getattr(row, name) == value for name, value in wanted.items())]


def test_a_group_of_few_patients_and_the_one_that_would_give_it_away_are_withheld():
    assert all(row.note == WITHHELD for row in published(group="site=Ashby"))
    assert all(row.value is None and row.n_patients == 0 for row in published(group="site=Weir Road"))
    assert {row.status for row in published(group="site=Northfield", topic="prevalence")} == {"ok"}
    assert published(topic="shortcut", quantity="site")[0].value is None, "it was compared with a hidden group"
    assert published(topic="shortcut", quantity="device")[0].value == 0.55
    groups = {histogram.group for histogram in published_card(make_card()).histograms}
    assert groups == {"site=Northfield", "device=Vendor A / M1", "device=Vendor B / X9"}


def test_a_share_that_few_patients_have_or_lack_is_withheld_with_the_next_smallest():
    few = [share("people", "sex O", f"device=Vendor {name}", 280, n) for name, n in (("A / M1", 4), ("B / X9", 40))]
    assert [row.value for row in published(few, quantity="sex O")] == [None, None]
    lacking = [share("people", "sex O", "device=Vendor A / M1", 280, 277)]
    assert published(lacking, quantity="sex O")[0].note == WITHHELD
    assert published(lacking, quantity="age", statistic="mean", group="device=Vendor A / M1")[0].value is not None


def test_a_total_of_few_patients_hides_its_parts():
    rows = [share("people", "sex O", group, 569, 3) for group in ("all", "device=Vendor A / M1")]
    assert all(row.value is None for row in published(rows, topic="people") if row.quantity.startswith("sex"))


def test_a_quantile_that_few_patients_lie_beyond_is_withheld():
    rows = {row.statistic: row for row in published(quantity="age", topic="people", group="all")}
    assert rows["5th percentile"].note == WITHHELD, "7 of 150 patients are younger"
    assert rows["lower quartile"].value == 40


def test_how_many_patients_a_fact_is_known_of_is_not_published():
    assert {row.n_patients for row in published(topic="people", group="all")} == {0}


def test_the_released_page_holds_neither_the_small_site_nor_its_numbers(made_up, tmp_path):
    text = write_report(replace(made_up, audience="release"), tmp_path).read_text()
    section = text.split('id="cohort"')[1].split('id="results"')[0]
    assert "9 patients" not in section
    assert "Northfield" in section
    assert "By device" in section
