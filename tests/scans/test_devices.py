import pytest

from synthassay.scans.devices import NO_FACTS, DeviceFacts, device_of, positive, sidecar_device
from synthassay.scans.vendors import written_device

SCANNER = DeviceFacts(manufacturer="SIEMENS", model="Skyra", software="E11", field_strength_t=3.0)
CT = DeviceFacts(manufacturer="GE MEDICAL SYSTEMS", model="LightSpeed", kvp=120.0, kernel="BONE")


@pytest.mark.parametrize(
    ("facts", "parts", "expected"),
    [(SCANNER, ("manufacturer", "model"), "Siemens Skyra"), (SCANNER, ("manufacturer",), "Siemens"),
     (SCANNER, ("manufacturer", "model", "field_strength", "kvp"), "Siemens Skyra, 3 T"),
     (SCANNER, ("software",), "E11"), (CT, ("manufacturer", "model", "kvp", "kernel"), "GE LightSpeed, 120 kVp, BONE"),
     (NO_FACTS, ("manufacturer", "model", "kernel"), None)],
)  # fmt: skip
def test_a_device_is_what_is_known_of_the_parts_asked_for(facts, parts, expected):
    assert device_of(facts, parts) == expected


def test_a_sidecar_tells_the_same_facts():
    facts = {"Manufacturer": "Siemens", "ManufacturersModelName": "Trio", "MagneticFieldStrength": 2.89,
             "SoftwareVersions": ["B17", "x"], "KVP": 0}  # fmt: skip
    assert sidecar_device(facts) == DeviceFacts(
        manufacturer="Siemens", model="Trio", field_strength_t=2.89, software="B17"
    )
    assert sidecar_device({}) == NO_FACTS


@pytest.mark.parametrize("value", [None, "", "x", 0, "0", -1, "nan", "inf", [3]])
def test_a_number_that_says_nothing_is_missing(value):
    assert positive(value) is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [("SIEMENS Trio", "Siemens Trio"), ("Siemens Healthineers", "Siemens"), ("GE Medical Systems Signa", "GE Signa"),
     ("ge", "GE"), ("rosendahl", "rosendahl"), ("vidir_modern", "vidir_modern"), ("Philips Intera 1.5T",
     "Philips Intera 1.5T"), ("", None)],
)  # fmt: skip
def test_a_device_in_a_table_names_its_maker_in_one_spelling(written, expected):
    assert written_device(written) == expected
