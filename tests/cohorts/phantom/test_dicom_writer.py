from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from pydicom import config
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from synthassay.cohorts.phantom.dicom_writer import encode_dicom
from synthassay.cohorts.phantom.scene import FIELD_OF_VIEW_MM
from synthassay.cohorts.phantom.simulate import plan_images, write_phantom
from synthassay.cohorts.phantom.specs import PhantomSpec
from synthassay.records import SilentProgress

from .conftest import Written


@pytest.fixture
def enforcing() -> Iterator[None]:
    before = (config.settings.reading_validation_mode, config.settings.writing_validation_mode)
    config.settings.reading_validation_mode = config.settings.writing_validation_mode = config.RAISE
    yield
    config.settings.reading_validation_mode, config.settings.writing_validation_mode = before


@pytest.mark.usefixtures("enforcing")
def test_every_element_is_valid_when_pydicom_enforces_the_standard(phantom: Written):
    for row in range(0, len(phantom.truth), 7):
        scan = phantom.header(row)
        values = [element.value for element in scan.iterall()]
        assert len(values) > 60
        assert scan.pixel_array.shape == (64, 64)


@pytest.mark.usefixtures("enforcing")
def test_files_are_encoded_when_pydicom_enforces_the_standard(tiny: PhantomSpec):
    image = next(plan_images(tiny))
    content = encode_dicom(image, np.zeros((32, 32), np.uint16))
    assert content[128:132] == b"DICM"


def test_file_meta_names_class_instance_and_lossless_syntax(phantom: Written):
    scan = phantom.header(0)
    assert scan.file_meta.MediaStorageSOPClassUID == scan.SOPClassUID == MRImageStorage
    assert scan.file_meta.MediaStorageSOPInstanceUID == scan.SOPInstanceUID == phantom.truth.sop_uid[0]
    assert scan.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert scan.LossyImageCompression == "00"


# Type 1 attributes of the MR Image IOD's mandatory modules, and those that a cohort reads.
NOT_EMPTY = (
    "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality", "ImageType", "ScanningSequence",
    "SequenceVariant", "InstanceNumber", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient",
    "SliceThickness", "SamplesPerPixel", "PhotometricInterpretation", "Manufacturer", "ManufacturerModelName",
    "InstitutionName", "StationName", "ProtocolName", "SeriesDescription", "PatientName", "PatientID",
    "PatientBirthDate", "PatientSex", "PatientAge", "StudyDate", "RescaleSlope", "RescaleIntercept", "RescaleType",
)  # fmt: skip
PRESENT = ("ReferringPhysicianName", "StudyID", "AccessionNumber", "StudyTime", "ScanOptions", "EchoTime",
           "EchoTrainLength", "MRAcquisitionType", "PositionReferenceIndicator")  # fmt: skip


def test_attributes_of_the_mr_image_object_are_there(phantom: Written):
    scan = phantom.header(3)
    assert [name for name in NOT_EMPTY if scan.get(name) in (None, "", [])] == []
    assert [name for name in PRESENT if name not in scan] == []


def test_header_says_that_the_data_is_synthetic(phantom: Written):
    scan = phantom.header(0)
    assert scan.SyntheticData == "YES"
    assert list(scan.ImageType[:2]) == ["DERIVED", "SECONDARY"]
    purpose = scan.ContributingEquipmentSequence[0].PurposeOfReferenceCodeSequence[0]
    assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("109100", "DCM")


def test_header_agrees_with_the_truth(phantom: Written):
    plans = {site.name: site for site in phantom.spec.sites}
    for row in range(0, len(phantom.truth), 5):
        scan, truth = phantom.header(row), phantom.truth.iloc[row]
        site = plans[truth.site]
        assert (scan.PatientID, scan.PatientSex, scan.PatientAge) == (truth.patient, truth.sex, f"{truth.age:03d}Y")
        assert (scan.InstitutionName, scan.StationName) == (site.institution, site.station)
        assert f"{scan.Manufacturer} {scan.ManufacturerModelName}" == truth.device
        assert scan.StudyInstanceUID == truth.study_uid
        assert float(scan.ImagePositionPatient[2]) == truth.slice_mm
        years = int(scan.StudyDate[:4]) - int(scan.PatientBirthDate[:4])
        assert years - truth.age in (0, 1)


def test_uids_are_unique_and_shared_where_they_should_be(phantom: Written):
    truth = phantom.truth
    assert truth.sop_uid.is_unique
    assert (truth.groupby("study_uid").patient.nunique() == 1).all()
    assert (truth.groupby(["patient", "study"]).study_uid.nunique() == 1).all()
    rows = truth.index[truth.study_uid == truth.study_uid[truth.study_uid.duplicated()].iloc[0]]
    slices = [phantom.header(row) for row in rows]
    assert len({scan.FrameOfReferenceUID for scan in slices}) == len({scan.SeriesInstanceUID for scan in slices}) == 1
    assert len({tuple(scan.ImagePositionPatient) for scan in slices}) == len(slices) > 1
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in truth.sop_uid)


def test_geometry_spans_the_field_of_view(phantom: Written):
    scan = phantom.header(0)
    first, spacing = float(scan.ImagePositionPatient[0]), float(scan.PixelSpacing[1])
    assert spacing * scan.Columns == pytest.approx(FIELD_OF_VIEW_MM)
    assert first == pytest.approx(-FIELD_OF_VIEW_MM / 2 + spacing / 2)


def test_seed_changes_every_uid(tiny: PhantomSpec):
    other = tiny.model_copy(update={"seed": 1})
    uids = [{image.sop_uid for image in plan_images(spec)} for spec in (tiny, other)]
    assert not uids[0] & uids[1]


def test_hostile_institution_name_is_written_as_given(tiny: PhantomSpec, tmp_path):
    name = "<script>alert('1')</script> Sjukhus Ö"
    spec = tiny.model_copy(update={"sites": (tiny.sites[0].model_copy(update={"institution": name, "patients": 1}),)})
    write_phantom(spec, tmp_path, SilentProgress())
    scan = pydicom.dcmread(next((tmp_path / "dicom").rglob("*.dcm")))
    assert scan.InstitutionName == name
