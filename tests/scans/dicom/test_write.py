"""DICOM files that are written: pixels, place and facts come back, synthetic images are marked, nothing leads back."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.pixels import pixel_array
from pydicom.uid import CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage

from synthassay.scans.dicom.write import age_string, encode_dicom
from synthassay.scans.facts import Grid
from synthassay.scans.text import age_of
from tests.scans.test_facts import AXIAL, facts

PLACED = Grid(spacing=(0.7, 1.3), directions=AXIAL, position=(-12.5, 1 / 3, 88.125), step=5.0)


def pictures(channels, dtype, height=7, width=5):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (channels, height, width), dtype)


def written(pixels, said):
    return pydicom.dcmread(io.BytesIO(encode_dicom(pixels, said)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("modality", [None, "MR", "CT"])
def test_pixels_come_back_equal(channels, dtype, modality):
    pixels = pictures(channels, dtype)
    data = written(pixels, facts(modality=modality, grid=PLACED))
    back = pixel_array(data)
    assert np.array_equal(back[None] if channels == 1 else np.moveaxis(back, 2, 0), pixels)
    assert (data.BitsStored, data.PixelRepresentation) == (8 * np.dtype(dtype).itemsize, 0)


@pytest.mark.parametrize(("modality", "dtype", "grid", "kind"), [
    ("MR", np.uint8, PLACED, MRImageStorage),
    ("CT", np.uint16, PLACED, CTImageStorage),
    ("CT", np.uint8, PLACED, SecondaryCaptureImageStorage),  # CT has at least 12 bits
    ("MR", np.uint8, Grid(spacing=(1.0, 1.0)), SecondaryCaptureImageStorage),
    ("MR", np.uint8, None, SecondaryCaptureImageStorage),
    (None, np.uint16, PLACED, SecondaryCaptureImageStorage),
])  # fmt: skip
def test_the_class_follows_from_what_is_known(modality, dtype, grid, kind):
    data = written(pictures(1, dtype), facts(modality=modality, grid=grid))
    assert data.SOPClassUID == data.file_meta.MediaStorageSOPClassUID == kind
    assert data.Modality == (modality or "OT")
    assert ("ConversionType" in data) == (kind == SecondaryCaptureImageStorage)
    if kind == MRImageStorage:
        assert data.BitsAllocated == 16  # the only allocation that the class allows
    if kind == CTImageStorage:
        assert (data.RescaleSlope, data.RescaleIntercept) == (1, 0)


def test_place_and_spacing_come_back():
    data = written(pictures(1, np.uint8), facts(grid=PLACED))
    assert [float(v) for v in data.PixelSpacing] == list(PLACED.spacing)
    assert [float(v) for v in data.ImageOrientationPatient] == list(PLACED.directions)
    assert [float(v) for v in data.ImagePositionPatient] == pytest.approx(PLACED.position, rel=1e-12)
    assert data.SliceThickness == 5
    assert data.FrameOfReferenceUID
    unplaced = written(pictures(1, np.uint8), facts(grid=Grid(spacing=(2.0, 3.0))))
    assert [float(v) for v in unplaced.PixelSpacing] == [2.0, 3.0]
    assert "ImagePositionPatient" not in unplaced
    assert "PixelSpacing" not in written(pictures(1, np.uint8), facts())
    shown = written(pictures(1, np.uint8), facts(grid=Grid(spacing=(1.0, 1.0), axis="sagittal")))
    assert list(shown.PatientOrientation) == ["P", "F"]


def test_facts_come_back():
    said = facts(patient="p-0123", site="Süd Klinik", device="Siemens Skyra", view="AP", sex="F", age=34.0,
                 label="lesion", split="test", seed=7)  # fmt: skip
    data = written(pictures(1, np.uint8), said)
    found = (data.PatientID, data.InstitutionName, data.ManufacturerModelName, data.ViewPosition, data.PatientSex,
             data.PatientAge, data.ImageComments)  # fmt: skip
    assert found == ("p-0123", "Süd Klinik", "Siemens Skyra", "AP", "F", "034Y", "lesion")
    assert data.DerivationDescription.endswith("set edm; split test; seed 7")


def test_what_is_unknown_is_not_written():
    data = written(pictures(1, np.uint8), facts())
    for keyword in ("InstitutionName", "ManufacturerModelName", "ViewPosition", "PatientAge", "ImageComments"):
        assert keyword not in data
    for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "ReferringPhysicianName", "AccessionNumber"):
        assert not data[keyword].value  # these must be there, and may be empty


def test_synthetic_images_are_marked():
    data = written(pictures(1, np.uint8), facts(maker="Synthassay"))
    assert (data.SyntheticData, data.ConversionType, data.BurnedInAnnotation) == ("YES", "SYN", "NO")
    assert list(data.ImageType[:2]) == ["DERIVED", "SECONDARY"]
    (equipment,) = data.ContributingEquipmentSequence
    (purpose,) = equipment.PurposeOfReferenceCodeSequence
    assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("109100", "DCM")
    assert (equipment.Manufacturer, equipment.ManufacturerModelName) == ("Synthassay", "edm")


def test_scanned_images_are_not_called_synthetic():
    data = written(pictures(1, np.uint8), facts(made="scanned", sex="F", site="a"))
    for keyword in ("SyntheticData", "ContributingEquipmentSequence", "BurnedInAnnotation"):
        assert keyword not in data
    assert data.PatientIdentityRemoved == "YES"
    codes = {item.CodeValue for item in data.DeidentificationMethodCodeSequence}
    assert codes == {"113100", "113112", "113108"}  # the basic profile, with institution and patient characteristics


def test_uids_are_of_the_content_and_new():
    pixels = pictures(1, np.uint8)
    one, again = written(pixels, facts()), written(pixels, facts())
    assert encode_dicom(pixels, facts()) == encode_dicom(pixels, facts())
    other, elsewhere = written(pixels, facts(image="edm-000001", number=2)), written(pixels, facts(namespace="other"))
    assert one.SOPInstanceUID == again.SOPInstanceUID
    assert (one.StudyInstanceUID, one.SeriesInstanceUID) == (other.StudyInstanceUID, other.SeriesInstanceUID)
    uids = {d[keyword].value for d in (one, other, elsewhere) for keyword in ("SOPInstanceUID", "StudyInstanceUID")}
    assert len(uids) == 5
    assert all(uid.is_valid and uid.startswith("2.25.") for uid in uids)
    assert "SourceImageSequence" not in one


@pytest.mark.parametrize("age", [0.0, 0.1, 0.7, 1.5, 1.9, 2.0, 34.0, 90.0])
def test_ages_are_read_as_they_were(age):
    assert age_of(age_string(age)) == age


@pytest.mark.parametrize("pixels", [np.zeros((2, 4, 4), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((1, 4, 4))])
def test_other_arrays_are_refused(pixels):
    with pytest.raises(ValueError, match="pixels must be"):
        encode_dicom(pixels, facts())
