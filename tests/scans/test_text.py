import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthassay.scans.text import age_band, age_of, clean, date_of, sex_of, table_value


def test_control_characters_are_stripped_and_length_is_capped():
    assert clean(" North\x00\x1b[31m\n Hospital\u202e ") == "North [31m Hospital"
    assert len(clean("x" * 500) or "") == 64


@pytest.mark.parametrize("value", [None, "", "  ", "n/a", "UNKNOWN", "None"])
def test_text_that_says_nothing_is_missing(value):
    assert clean(value) is None


def test_markup_is_kept_as_text_for_the_report_to_escape():
    assert clean("<script>alert(1)</script>") == "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("text", "years"), [("045Y", 45.0), ("006M", 0.5), ("026W", 0.5), ("000Y", None), ("3.5", 3.0), ("023M", 1.9),
                        ("44.97", 44.0), ("x", None), (None, None), ("131Y", None), ("095Y", 90.0),
                        ("90+", 90.0), (">89", 90.0), ("89+", 90.0), ("100D", 0.3), ("45+", None), ("63,5", 63.0)],
)  # fmt: skip
def test_age_strings(text, years):
    assert age_of(text) == years


@given(st.integers(0, 999), st.sampled_from("DWMY"))
def test_every_dicom_age_string_is_an_age_in_years_or_missing(count, unit):
    years = count / {"D": 365.25, "W": 365.25 / 7, "M": 12, "Y": 1}[unit]
    age = age_of(f"{count:03d}{unit}")
    if years > 130 or (count, unit) == (0, "Y"):
        assert age is None
    else:
        assert age is not None
        assert age == (min(int(years), 90) if years >= 2 else round(years, 1))


@given(st.text(max_size=8))
def test_any_text_is_an_age_in_range_or_missing(text):
    age = age_of(text)
    assert age is None or 0 <= age <= 90


@given(st.dates(datetime.date(1900, 1, 2), datetime.date(2030, 1, 1)), st.integers(0, 40_000))
def test_an_age_from_dates_is_that_of_the_last_birthday(born, days):
    try:
        scanned = born + datetime.timedelta(days)
    except OverflowError:
        return
    age = age_of(None, f"{born:%Y%m%d}", f"{scanned:%Y%m%d}")
    years = scanned.year - born.year - ((scanned.month, scanned.day) < (born.month, born.day))
    assert age == (min(years, 90) if years >= 2 else round(days / 365.25, 1))


def test_age_follows_from_birth_and_study_date_where_none_is_written():
    assert age_of("", "19800707", datetime.date(2014, 7, 7)) == 34.0
    assert age_of("", "19800708", datetime.date(2014, 7, 7)) == 33.0
    assert age_of("", "20130407", "20140707") == pytest.approx(1.2, abs=1e-9)
    assert age_of("000Y", "19800707", "20140707") == 34.0
    assert age_of("", "20200101", "20140707") is None
    assert age_of("", "19000101", "19950707") is None  # written over by programs that de-identify


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
