import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthassay.scans.vendors import device_name, manufacturer, one_spelling, written_device

VARIANTS = {
    "Siemens": ("SIEMENS", "Siemens Healthineers", " siemens  HealthCare GmbH", "SIEMENS_MED", "SIEMENS NM", "Acuson"),
    "GE": ("GE MEDICAL SYSTEMS", "GE_MEDICAL_SYSTEMS", "\"GE Healthcare\"", "GEMS", "GEHC", "G.E.",
           "G.E. Medical Systems", "GE Vingmed Ultrasound", "General Electrics"),
    "Philips": ("Philips Medical Systems", "Philips Healthcare", "PHILIPS-F6C8A1", "Picker International, Inc."),
    "Toshiba": ("TOSHIBA", "TOSHIBA_MEC", "TOSHIBA_MEC_US"),
    "Canon": ("Canon Medical Systems", "CANON_MEC"),
    "Fujifilm": ("FUJIFILM Corporation", "FUJI PHOTO FILM Co., ltd.", "FUJI"),
    "Hologic": ("HOLOGIC, Inc.", "Lorad, A Hologic Company", "LORAD"),
    "Agfa": ("Agfa-Gevaert", "AGFA HealthCare N.V."),
    "Carestream": ("Carestream Health", "KODAK", "EASTMAN KODAK COMPANY"),
    "Hitachi": ("Hitachi Medical Corporation", "Hitachi, Ltd.", "ALOKA CO., LTD."),
    "United Imaging": ("UIH", "United Imaging", "Shanghai United Imaging Healthcare Co., Ltd."),
    "Mindray": ("Mindray", "SHENZHEN MINDRAY BIO-MEDICAL ELECTRONICS CO., LTD."),
    "Samsung": ("Samsung Electronics", "SAMSUNG MEDISON CO., LTD.", "Medison"),
    "Varian": ("Varian Medical Systems, Inc.",),
    "Imaging Dynamics": ("Imaging Dynamics Company Ltd.", "IMAGING DYNAMICS COMPANY"),
    "Konica Minolta": ("KONICA MINOLTA", "KONICAMINOLTA"),
    "Aster Medical": ("Aster  Medical", "ASTER MEDICAL", "Aster Medical, Inc.", "Aster Medical S.p.A.",
                      "Aster Medical GmbH & Co. KG"),  # not listed
    "Geometrics": ("GEOMETRICS",),  # not GE
}  # fmt: skip


@pytest.mark.parametrize("expected", VARIANTS)
def test_spelling_variants_of_one_manufacturer_are_one(expected):
    assert {manufacturer(written) for written in VARIANTS[expected]} == {expected}


@pytest.mark.parametrize("written", ["", "  ", ",", None, "Unknown", "n/a", "ANONYMIZED"])
def test_a_manufacturer_that_is_missing_stays_missing(written):
    assert manufacturer(written) is None


def test_device_does_not_name_its_manufacturer_twice():
    assert device_name("SIEMENS", "Siemens Skyra") == "Siemens Skyra"
    assert device_name("GE MEDICAL SYSTEMS", "DISCOVERY MR750") == "GE DISCOVERY MR750"
    assert device_name("GE MEDICAL SYSTEMS", "GE Medical Systems Signa") == "GE Signa"
    assert device_name("LORAD", "Lorad Selenia") == device_name("HOLOGIC, Inc.", "Selenia") == "Hologic Selenia"
    assert device_name("SIEMENS", "GE Signa") == "Siemens GE Signa"
    assert device_name("Acme", "ACME 3000") == "Acme 3000"
    assert device_name(None, "Skyra") == "Skyra"
    assert device_name("", None) is None


def test_a_device_of_a_table_has_its_manufacturer_in_one_spelling():
    assert written_device("Shanghai United Imaging Healthcare Co., Ltd. uMR 780") == "United Imaging uMR 780"
    assert written_device("General Electric Medical Systems Signa") == "GE Signa"
    assert written_device("Somebody's 3T") == "Somebody's 3T"


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
