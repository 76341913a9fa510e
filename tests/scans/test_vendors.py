import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthassay.scans.vendors import device_name, manufacturer, one_spelling


@pytest.mark.parametrize(
    ("written", "expected"),
    [("SIEMENS", "Siemens"), ("Siemens Healthineers", "Siemens"), (" siemens  HealthCare GmbH", "Siemens"),
     ("SIEMENS_MED", "Siemens"), ("GE MEDICAL SYSTEMS", "GE"), ("\"GE Healthcare\"", "GE"), ("GEMS", "GE"),
     ("G.E.", "G.E."), ("Philips Medical Systems", "Philips"), ("PHILIPS-F6C8A1", "Philips"),
     ("TOSHIBA_MEC", "Toshiba"), ("TOSHIBA", "Toshiba"), ("Canon Medical Systems", "Canon"),
     ("FUJI PHOTO FILM Co., ltd.", "Fujifilm"), ("FUJIFILM Corporation", "Fujifilm"),
     ("KONICA MINOLTA", "Konica Minolta"),
     ("Agfa-Gevaert", "Agfa"), ("GEOMETRICS", "Geometrics"), ("Aster  Medical", "Aster Medical"), ("", None)],
)  # fmt: skip
def test_manufacturers_get_one_spelling(written, expected):
    assert manufacturer(written) == expected


def test_device_does_not_name_its_manufacturer_twice():
    assert device_name("SIEMENS", "Siemens Skyra") == "Siemens Skyra"
    assert device_name("GE MEDICAL SYSTEMS", "DISCOVERY MR750") == "GE DISCOVERY MR750"
    assert device_name(None, "Skyra") == "Skyra"
    assert device_name("", None) is None


def test_case_blanks_and_punctuation_do_not_make_another_name():
    names = ["St. Mary's Hospital", "ST MARYS HOSPITAL", "St. Mary's Hospital", "North Hospital", "NorthHospital"]
    assert one_spelling(names) == {
        "St. Mary's Hospital": "St. Mary's Hospital", "ST MARYS HOSPITAL": "St. Mary's Hospital",
        "North Hospital": "North Hospital", "NorthHospital": "North Hospital",
    }  # fmt: skip


def test_other_letters_or_digits_make_another_name():
    assert len(set(one_spelling(["Ward 1", "Ward 2", "Zürich", "Zurich", "3T", "1.5T"]).values())) == 6


def test_names_are_merged_as_asked_whichever_spelling_is_used():
    merged = one_spelling(["NIH FMRIF", "nih-fmrif", "NIH"], {"NIH fmrif": "NIH", "Elsewhere": "Nowhere"})
    assert set(merged.values()) == {"NIH"}


def test_names_without_letters_stay_apart():
    assert one_spelling(["--", "++"]) == {"--": "--", "++": "++"}


@given(st.lists(st.text(min_size=1, max_size=6)))
def test_one_spelling_is_one_of_those_found_and_does_not_depend_on_the_order(names):
    chosen = one_spelling(names)
    assert chosen.keys() == set(names)
    assert set(chosen.values()) <= set(names)
    assert chosen == one_spelling(sorted(names))
    assert all(chosen[name] == name for name in chosen.values())
