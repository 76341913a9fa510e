import contextlib
import warnings
from struct import pack

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from synthassay.scans.dicom import deidentify
from synthassay.scans.dicom.confidentiality import profile
from synthassay.scans.dicom.deidentify import UNFINISHED, check_header
from synthassay.scans.dicom.files import open_header
from synthassay.scans.findings import Finding
from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable
from tests.scans.dicom_files import save_dicom, texture


@pytest.fixture(params=[ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=["explicit", "implicit"])
def carried(request, tmp_path):
    """``carried(**tags)`` writes a header with ``tags`` and says what it carries, by attribute without its tag."""

    def check(path: str = "", **tags) -> dict[str, Finding]:
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = request.param
        data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", generate_uid()
        for name, value in tags.items():
            if name.startswith("tag_"):
                data.add_new(int(name[4:], 16), *value)
            else:
                setattr(data, name, value)
        dcmwrite(tmp_path / "a.dcm", data, enforce_file_format=True)
        return {finding.attribute.partition(" (")[0]: finding
                for finding in check_header(open_header(tmp_path / "a.dcm", LimitSpec()), path)}  # fmt: skip

    return check


def item(**tags) -> Dataset:
    data = Dataset()
    for name, value in tags.items():
        setattr(data, name, value)
    return data


def test_the_table_is_whole_and_reads_as_the_standard_does():
    by_tag = profile().by_tag
    assert len(by_tag) + len(profile().by_mask) == 655
    assert by_tag[0x00100030] == ("patient", "PatientBirthDate (0010,0030)", "Z")
    assert by_tag[0x00080020].kind == "dates and times"
    assert by_tag[0x0020000D] == ("UIDs", "StudyInstanceUID (0020,000D)", "U")
    assert by_tag[0x00080090].kind == "people"
    assert {finding.action for finding in by_tag.values()} <= {
        "D", "Z", "X", "U", "X/D", "X/Z", "X/Z/D", "Z/D", "X/Z/U*"
    }  # fmt: skip
    assert profile().asks(0x60023000).attribute.startswith("OverlayData")
    assert profile().asks(0x50200005).attribute.startswith("CurveData")
    assert profile().asks(0x00280010) is None
    assert profile().asks(0x00191001).kind == "private attributes"


def test_each_attribute_is_named_with_what_the_profile_asks_and_never_its_value(carried):
    found = carried(PatientName="Doe^Jane", PatientBirthDate="19800707", StudyDate="20200110", Rows=4,
                    InstitutionName="North Hospital", OperatorsName="Roe^R")  # fmt: skip
    assert {name: found[name].action for name in ("PatientName", "PatientBirthDate", "StudyDate", "OperatorsName")} == {
        "PatientName": "Z", "PatientBirthDate": "Z", "StudyDate": "Z", "OperatorsName": "X/Z/D"
    }  # fmt: skip
    assert "Rows" not in found
    assert found["SOPInstanceUID"].action == found["MediaStorageSOPInstanceUID"].action == "U"
    assert not any(word in repr(found) for word in ("Doe", "Jane", "1980", "2020", "North", "Roe"))


@pytest.mark.parametrize("value", ["", "  ", "Anonymous", "NONE"])
def test_an_attribute_that_says_nothing_is_not_a_finding(carried, value):
    assert "PatientName" not in carried(PatientName=value)


def test_nested_sequences_are_looked_into(carried):
    inner = item(PersonName="Roe^Richard", DateTime="20200110120000")
    found = carried(ContentSequence=[item(ContentSequence=[inner])], RequestAttributesSequence=[])
    assert {"PersonName", "DateTime", "ContentSequence"} <= found.keys()
    assert "RequestAttributesSequence" not in found


def test_what_an_archive_did_not_know_is_looked_into(tmp_path):
    name = b"\x32\0\x32\x10" + (8).to_bytes(4, "little") + b"Doc^Tor "  # Requesting Physician, implicit
    sequence = b"\xfe\xff\0\xe0" + len(name).to_bytes(4, "little") + name
    save_dicom(tmp_path / "a.dcm", texture(1), PatientName="Rowling^Anna")
    content = (tmp_path / "a.dcm").read_bytes()
    unknown = b"".join(tag + b"UN\0\0" + len(value).to_bytes(4, "little") + value for tag, value in (
        (b"\x40\0\x54\x02", b"for Rowling "), (b"\x40\0\x75\x02", sequence)))  # fmt: skip
    pixels = content.index(b"\xe0\x7f\x10\0OW")
    (tmp_path / "a.dcm").write_bytes(content[:pixels] + unknown + content[pixels:])
    found = {
        one.attribute.partition(" (")[0]: one for one in check_header(open_header(tmp_path / "a.dcm", LimitSpec()))
    }
    assert found["RequestAttributesSequence"].action == "X"
    assert found["RequestingPhysician"].kind == "people"
    assert "PerformedProcedureStepDescription: the patient's own name, id or birth date" in found


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless,
                                    DeflatedExplicitVRLittleEndian])  # fmt: skip
def test_what_stands_behind_the_pixels_is_looked_at(tmp_path, syntax):
    path, values = tmp_path / "a.dcm", texture(1)
    data = save_dicom(path, values, PatientName="Rowling^Anna")
    assert "private attributes" not in {one.attribute for one in check_header(open_header(path, LimitSpec()))}
    data.add_new(0x7FE10010, "LO", "MAKER")
    data.add_new(0x7FE11001, "LO", "of Rowling")
    data.DigitalSignaturesSequence = [item(DigitalSignatureDateTime="20200110120000")]
    if syntax == RLELossless:
        data.compress(syntax)
    data.file_meta.TransferSyntaxUID = syntax
    dcmwrite(path, data, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    found = {one.attribute.partition(" (")[0] for one in check_header(open_header(path, LimitSpec()))}
    assert {"private attributes: the patient's own name, id or birth date", "DigitalSignaturesSequence"} <= found
    for end in (b"\0" * 9, b"x" * 50, b"\xe1\x7f\x10\0LO\xff\xff"):  # what is no element changes nothing
        path.write_bytes(save_dicom(path, values) and path.read_bytes() + end)
        assert open_header(path, LimitSpec()).PatientID == "PID-0001"


def test_private_attributes_are_one_finding_and_are_searched_for_the_patient(carried):
    private = {"tag_00190010": ("LO", "MAKER"), "tag_00191001": ("LO", "for Quixotic, Z.")}
    assert "private attributes" in carried(**private)
    found = carried(PatientName="Quixotic^Zebediah", **private)
    assert "private attributes: the patient's own name, id or birth date" in found
    assert "private attributes: the patient's own name, id or birth date" not in carried(PatientName="A^B", **private)


def test_names_and_dates_in_free_text_are_found(carried):
    found = carried(PatientName="Quixotic^Zebediah", PatientID="MRN-77493", PatientBirthDate="19470913",
                    SeriesDescription="AX T2 quixotic", ImageComments="see MRN-77493", StudyComments="Doe^Jane",
                    ProtocolName="scan of 2020-01-10", StudyDescription="HEAD^Routine")  # fmt: skip
    own = "the patient's own name, id or birth date"
    assert {f"SeriesDescription: {own}", f"ImageComments: {own}", "StudyComments: reads like a name",
            "ProtocolName: a date"} <= found.keys()  # fmt: skip
    assert not any(name.startswith("StudyDescription:") for name in found)
    assert {found[name].action for name in found if ": " in name and found[name].kind == "names and dates in text"} == {
        "clean"
    }


def test_words_that_are_nobodys_name_are_not_searched(carried):
    assert not any("own name" in name for name in carried(PatientName="Test^Brain", SeriesDescription="brain test"))


def test_a_path_that_names_the_patient_or_a_date_is_a_finding(carried):
    found = carried("Quixotic_Z/2020-01-10/1.dcm", PatientName="Quixotic^Zebediah")
    assert {"a date", "a patient's name or id"} <= found.keys()
    assert not {"a date", "a patient's name or id"} & carried("sub-01/1.dcm", PatientName="Quixotic^Z").keys()


def test_files_say_what_was_done_to_them_in_the_standards_words_only(carried):
    method = [item(CodeValue="113100", CodingSchemeDesignator="DCM"), item(CodeValue="SECRET")]
    found = carried(PatientIdentityRemoved="YES", DeidentificationMethodCodeSequence=method,
                    PatientBirthDate="19470913", BurnedInAnnotation="JANE")  # fmt: skip
    said = {name for name, finding in found.items() if finding.kind == "said of itself"}
    assert said == {
        "PatientIdentityRemoved: YES", "PatientIdentityRemoved: YES, beside a birth date",
        "BurnedInAnnotation: another value", "DeidentificationMethodCodeSequence: 113100 basic profile",
    }  # fmt: skip
    assert "BurnedInAnnotation: not stated" in carried()


def test_the_check_is_bounded_and_says_where_it_ended(carried, monkeypatch):
    deep = item(PatientComments="x")
    for _ in range(20):
        deep = item(ContentSequence=[deep])
    name = UNFINISHED.attribute.partition(" (")[0]
    assert name in carried(ContentSequence=[deep])
    assert name not in carried(PatientName="A^B")
    monkeypatch.setattr(deidentify, "MOST_ELEMENTS", 3)
    assert name in carried(PatientName="A^B", StudyDate="20200110", StudyTime="1200")


def test_damaged_bytes_do_not_stop_the_check(tmp_path):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID, data.PatientName = "1.2", "1.2.3", "Doe^Jane"
    data.RequestAttributesSequence = [item(StudyID="X")]
    dcmwrite(tmp_path / "a.dcm", data, enforce_file_format=True)
    content = (tmp_path / "a.dcm").read_bytes()
    start = content.index(b"\xfe\xff\x00\xe0") + 8  # of the only item, whose first element gets a tag without an end
    (tmp_path / "a.dcm").write_bytes(content[:start] + b"\x20\x00\x10\x00SQ\x00\x00\xff\xff" + content[start + 10 :])
    found = check_header(open_header(tmp_path / "a.dcm", LimitSpec()))
    assert UNFINISHED in found
    assert any(finding.attribute.startswith("PatientName") for finding in found)


@pytest.mark.parametrize("count", [1, 4000])  # pydicom leaves more than 64 KiB of unknown representation as bytes
def test_a_sequence_that_is_stored_as_unknown_is_found_however_long(tmp_path, count):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = "1.2", "1.2.3"
    dcmwrite(tmp_path / "a.dcm", data, enforce_file_format=True)
    one = b"\xfe\xff\x00\xe0" + pack("<I", 10) + b"\x40\x00\x01\x10" + pack("<I", 2) + b"X "  # implicit, as in UN
    with (tmp_path / "a.dcm").open("ab") as stream:
        stream.write(b"\x40\x00\x75\x02UN\0\0" + pack("<I", count * len(one)) + count * one)
    found = check_header(open_header(tmp_path / "a.dcm", LimitSpec()))
    assert "RequestAttributesSequence" in {finding.attribute.partition(" (")[0] for finding in found}
    assert (UNFINISHED in found) == (count > 1)


def test_no_damage_of_a_header_that_opens_stops_the_check(tmp_path):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID, data.PatientName, data.PatientID = "1.2", "1.2.3", "Doe^Jane", "MRN-77493"
    data.ContentSequence = [item(PersonName="Roe^R", ContentSequence=[item(TextValue="Doe")])]
    data.DeidentificationMethodCodeSequence = [item(CodeValue="113100")]
    dcmwrite(tmp_path / "a.dcm", data, enforce_file_format=True)
    content = np.frombuffer((tmp_path / "a.dcm").read_bytes(), np.uint8)
    rng, opened = np.random.default_rng(0), 0
    for _ in range(400):
        damaged = content.copy()
        places = rng.integers(300, len(content), 4)  # after the file meta information
        damaged[places] = rng.integers(0, 256, 4)
        (tmp_path / "b.dcm").write_bytes(damaged.tobytes())
        with contextlib.suppress(Unreadable):
            dataset = open_header(tmp_path / "b.dcm", LimitSpec())
            opened += 1
            with warnings.catch_warnings(action="ignore"):
                check_header(dataset)
    assert opened > 100
