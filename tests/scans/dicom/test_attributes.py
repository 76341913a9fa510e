"""Values that are taken from their bytes beside those that pydicom gives."""

import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from synthassay.scans.dicom.attributes import number_of, numbers_of, text_of, value_of
from tests.scans.dicom.test_elements import FILES

pytestmark = pytest.mark.filterwarnings("ignore")
TAGS = {"DS": 0x00180050, "IS": 0x00200013, "LO": 0x00081090, "SH": 0x00081010, "CS": 0x00080060, "UI": 0x0020000E}


def dataset_of(kind: str, value: bytes, charset: bytes = b"") -> Dataset:
    """One element as it is read."""
    elements = {0x00080005: ("CS", charset), TAGS[kind]: (kind, value)} if charset else {TAGS[kind]: (kind, value)}
    return Dataset({Tag(tag): RawDataElement(Tag(tag), kind, len(value), value, 0, False, True)
                    for tag, (kind, value) in elements.items()})  # fmt: skip


def by_pydicom(kind: str, value: bytes, charset: bytes = b"") -> object:
    try:
        return dataset_of(kind, value, charset)[TAGS[kind]].value
    except Exception:
        return None


@pytest.mark.parametrize("value", [
    b"1.5", b" 1.5 ", b"+01.", b"-1e-3 ", b"1E5", b"12 \\13", b"1\\2\\3\\4\\5\\6", b"1\\", b"\\1", b"", b" ", b"1_0",
    b"nan", b"inf", b"1e999", b"0x10", b"1.5\0", b"1,5", b"1.5mm", b"--1", b".5", b"1e", b"12345678901234567890",
])  # fmt: skip
@pytest.mark.parametrize("kind", ["DS", "IS"])
def test_numbers_are_those_of_pydicom(kind, value):
    found = by_pydicom(kind, value)
    several = list(found) if hasattr(found, "__iter__") and not isinstance(found, str) else [found]
    try:
        expected = [float(one) for one in several]
    except (TypeError, ValueError):
        expected = []
    for count in (1, 2, 6):
        finite = len(expected) == count and all(abs(one) < float("inf") for one in expected)
        assert numbers_of(dataset_of(kind, value), TAGS[kind], count) == (tuple(expected) if finite else None)


@pytest.mark.parametrize("charset", [b"", b"ISO_IR 100", b"ISO_IR 192", b"ISO_IR 13", b"\\ISO 2022 IR 87"])
@pytest.mark.parametrize("value", [
    b"Head", b"Head ", b" Head", b"A B  C ", b"A\\B", b"~", b"Kopf\xe4", b"\xb1\xb2", b"\x1b$B;3\x1b(B",
    b"A\0", b"A\tB", b"", b" ", b"A\r\n",
])  # fmt: skip
@pytest.mark.parametrize("kind", ["LO", "SH", "CS"])
def test_texts_are_those_of_pydicom(kind, value, charset):
    expected = by_pydicom(kind, value, charset)
    found = value_of(dataset_of(kind, value, charset), TAGS[kind])
    assert (found, str(found)) == (expected, str(expected))


def test_a_uid_has_no_padding():
    assert value_of(dataset_of("UI", b"1.2.3\0"), TAGS["UI"]) == "1.2.3"
    assert text_of(dataset_of("UI", b"1.2.3\0\0"), TAGS["UI"]) == "1.2.3"


def test_pydicoms_own_files_give_the_values_that_pydicom_gives():
    for path in FILES:
        ours, theirs = dcmread(path), dcmread(path)
        for tag in list(ours.keys()):
            try:
                expected = theirs[tag].value
            except Exception:
                expected = None
            number = expected if isinstance(expected, float | int) else None
            assert number is None or number_of(ours, int(tag)) == float(number), (path.name, tag)
            assert repr(value_of(ours, int(tag))) == repr(expected) or value_of(ours, int(tag)) == expected, path.name
