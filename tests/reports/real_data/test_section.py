from synthassay.card import DataCard
from synthassay.reports.real_data.section import real_data_section
from synthassay.reports.real_data.tables import card_tables
from synthassay.reports.real_data.view import CardView
from tests.reports.cards import make_card


def table(title):
    return next(t for t, _ in card_tables(CardView(make_card(), "lesion")) if t.title == title)


def cells(made):
    return {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in made.rows}


def test_each_way_of_dividing_the_scans_has_its_figures(made_up):
    section = real_data_section(made_up)
    assert [block.title for block in section.blocks] == ["By site", "By device"]
    titles = [panel.title for panel in section.blocks[0].panels]
    assert titles == ["lesion by site", "Pixels tell the site", "Age by site", "Intensity by site",
                      "Drift between sites"]  # fmt: skip
    assert [item.text for item in section.blocks[0].legend] == ["Northfield", "Weir Road", "Ashby"]
    assert all("<svg" in panel.svg for block in section.blocks for panel in block.panels)
    assert section.notes == ["Pixels were looked at in 1,000 of 1,138 images."]


def test_a_column_that_follows_from_another_has_no_figures_of_its_own(made_up):
    from dataclasses import replace

    rows = [row for row in made_up.card.rows if (row.topic, row.quantity) != ("shortcut", "device")]
    section = real_data_section(replace(made_up, card=replace(made_up.card, rows=rows)))
    assert [block.title for block in section.blocks] == ["By site"]


def test_places_of_which_nothing_can_be_drawn_have_no_heading(made_up):
    from dataclasses import replace

    rows = [replace(row, value=None, ci_low=None, ci_high=None, status="absent") for row in made_up.card.rows]
    section = real_data_section(replace(made_up, card=replace(made_up.card, rows=rows, histograms=())))
    assert section.blocks == []


def test_two_classes_are_one_column_and_a_small_place_says_why_it_is_empty():
    made = table("Classes by site and device")
    assert [head.text for head in made.heads] == [
        "Place",
        "Patients",
        "Images",
        "lesion, of patients",
        "lesion, of images",
    ]
    assert cells(made)["Northfield"][:3] == ["380", "760", "40.0%"]
    small = next(row for row in made.rows if row.cells[0].text == "Ashby")
    assert (small.cells[3].text, small.cells[3].reason) == ("–", "9 patients, fewer than 10")
    assert small.cells[0].minor == "site"


def test_tables_of_what_is_missing_of_people_and_of_drift():
    assert cells(table("What is missing"))["Weir Road"] == ["0%", "6.7%", "100%"]
    assert cells(table("Age and sex by site and device"))["Northfield"][0] == "54.0"
    drift = table("Drift between sites and devices")
    assert [cell.text for cell in drift.rows[1].cells[:4]] == ["Northfield", "the others", "age", "−1.20"]
    assert drift.rows[1].cells[4].minor == "chance 0.12"
    assert cells(table("How well pixels tell the place"))["Northfield"][:3] == ["Weir Road", "0.930", "0.43 to 0.57"]


def test_a_run_without_a_card_has_an_empty_section(made_up):
    from dataclasses import replace

    section = real_data_section(replace(made_up, card=DataCard()))
    assert [*section.findings, *section.blocks, *section.tables, *section.notes] == []
