import datetime

import pytest

from synthassay.scans.text import age_band, age_of, clean, date_of, device_name, manufacturer, sex_of, table_value


def test_control_characters_are_stripped_and_length_is_capped():
    assert clean(" North\x00\x1b[31m\n Hospital\u202e ") == "North [31m Hospital"
    assert len(clean("x" * 500) or "") == 64


@pytest.mark.parametrize("value", [None, "", "  ", "n/a", "UNKNOWN", "None"])
def test_text_that_says_nothing_is_missing(value):
    assert clean(value) is None


def test_markup_is_kept_as_text_for_the_report_to_escape():
    assert clean("<script>alert(1)</script>") == "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("written", "expected"),
    [("SIEMENS", "Siemens"), ("Siemens Healthineers", "Siemens"), (" siemens  HealthCare GmbH", "Siemens"),
     ("GE MEDICAL SYSTEMS", "GE"), ("Philips Medical Systems", "Philips"), ("GEOMETRICS", "Geometrics"),
     ("Aster  Medical", "Aster Medical"), ("", None)],
)  # fmt: skip
def test_manufacturers_get_one_spelling(written, expected):
    assert manufacturer(written) == expected


def test_device_does_not_name_its_manufacturer_twice():
    assert device_name("SIEMENS", "Siemens Skyra") == "Siemens Skyra"
    assert device_name("GE MEDICAL SYSTEMS", "DISCOVERY MR750") == "GE DISCOVERY MR750"
    assert device_name(None, "Skyra") == "Skyra"
    assert device_name("", None) is None


@pytest.mark.parametrize(
    ("text", "years"), [("045Y", 45.0), ("006M", 0.5), ("026W", 0.5), ("000Y", None), ("3.5", 3.0), ("023M", 1.9),
                        ("44.97", 44.0), ("x", None), (None, None), ("131Y", None), ("095Y", 90.0)],
)  # fmt: skip
def test_age_strings(text, years):
    assert age_of(text) == years


def test_age_follows_from_birth_and_study_date_where_none_is_written():
    assert age_of("", "19800707", datetime.date(2014, 7, 7)) == 34.0
    assert age_of("", "19800708", datetime.date(2014, 7, 7)) == 33.0
    assert age_of("", "20130407", "20140707") == pytest.approx(1.2, abs=1e-9)
    assert age_of("000Y", "19800707", "20140707") == 34.0
    assert age_of("", "20200101", "20140707") is None


def test_dates_that_do_not_exist_are_missing():
    assert date_of("20200230") is None
    assert date_of("2020.02.28") == datetime.date(2020, 2, 28)


def test_sex_and_age_bands():
    assert [sex_of(text) for text in ("female", "M", "other", "unknown", "x")] == ["F", "M", "O", None, None]
    assert [age_band(age) for age in (None, 17.9, 18.0, 79.0, 90.0)] == [
        "",
        "under 18",
        "18-39",
        "60-79",
        "80 and over",
    ]


def test_numbers_in_tables_are_compared_by_value_but_leading_zeros_stay():
    assert [table_value(cell) for cell in ("1.0", 1.0, " 1 ", "007", "N/A", "1.5")] == ["1", "1", "1", "007", "", "1.5"]
