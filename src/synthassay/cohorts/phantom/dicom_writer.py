"""The phantom's images as DICOM MR Image Storage: complete, valid headers, uncompressed explicit little endian."""

import datetime as dt
import uuid
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from synthassay.cohorts.phantom.plan import Patient, Study
from synthassay.cohorts.phantom.scene import FIELD_OF_VIEW_MM, pixel_spacing_mm
from synthassay.cohorts.phantom.specs import STORED_BITS, DeviceModel

VIEW = "AX FLAIR HEAD"
UID_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:synthassay:digital-phantom")
IMPLEMENTATION = UID(f"2.25.{uuid.uuid5(UID_NAMESPACE, 'implementation').int}")
GIVEN_NAMES = {"F": ("Ada", "Ines", "Maren", "Rosa", "Tove"), "M": ("Bram", "Emil", "Joren", "Luca", "Odin")}


@dataclass(frozen=True, slots=True)
class Slice:
    """One image to be written: who, when, which slice, by what device. ``phantom`` is the digest of the spec."""

    patient: Patient
    study: Study
    index: int
    device: DeviceModel
    phantom: str

    @property
    def path(self) -> str:
        """Relative to the DICOM folder, with forward slashes."""
        return (
            f"{self.patient.site.name}/{self.patient.number:05d}/study-{self.study.number}/image-{self.index + 1}.dcm"
        )

    def uid(self, *level: str | int) -> UID:
        """The UID of something of this phantom: 2.25 and a name-based UUID (ITU-T X.667), so no registered root."""
        name = "/".join([self.phantom, self.patient.patient_id, *(str(part) for part in level)])
        return UID(f"2.25.{uuid.uuid5(UID_NAMESPACE, name).int}")

    @property
    def sop_uid(self) -> UID:
        """SOP Instance UID."""
        return self.uid("study", self.study.number, "instance", self.index + 1)

    @property
    def study_uid(self) -> UID:
        """Study Instance UID."""
        return self.uid("study", self.study.number)


def encode_dicom(image: Slice, stored: NDArray[np.uint16]) -> bytes:
    """The complete file as bytes; equal arguments give equal bytes. ``stored`` is ``[h, w]`` in [0, 4095]."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = image.sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = "SYNTHASSAY"
    buffer = BytesIO()
    data = FileDataset(buffer, {}, file_meta=meta, preamble=b"\0" * 128)
    for part in (_patient, _study_and_series, _equipment, _acquisition, _plane):
        data.update(part(image, len(stored)))
    _add_pixels(data, image.device, stored)
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _patient(image: Slice, size: int) -> Dataset:
    patient, study = image.patient, image.study
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    names = GIVEN_NAMES[patient.sex]
    data.PatientName = f"Phantom{patient.site.name.capitalize()}{patient.number}^{names[patient.number % len(names)]}"
    data.PatientID = patient.patient_id
    data.PatientBirthDate = _date(patient.birth)
    data.PatientSex = patient.sex
    data.PatientAge = f"{int(study.age):03d}Y"
    return data


def _study_and_series(image: Slice, size: int) -> Dataset:
    study = image.study
    data = Dataset()
    data.StudyInstanceUID = image.study_uid
    data.SeriesInstanceUID = image.uid("study", study.number, "series")
    data.FrameOfReferenceUID = image.uid("study", study.number, "frame")
    data.PositionReferenceIndicator = ""
    data.StudyID = str(study.number)
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = _date(study.day)
    data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = "120000"
    data.AccessionNumber = ""
    data.ReferringPhysicianName = ""
    data.StudyDescription = "Head"
    data.SeriesDescription = data.ProtocolName = VIEW
    data.SeriesNumber = 1
    data.AcquisitionNumber = 1
    data.InstanceNumber = image.index + 1
    data.Modality = "MR"
    data.BodyPartExamined = "HEAD"
    data.PatientPosition = "HFS"
    return data


def _equipment(image: Slice, size: int) -> Dataset:
    site, device = image.patient.site, image.device
    data = Dataset()
    data.Manufacturer = device.manufacturer
    data.ManufacturerModelName = device.model
    data.InstitutionName = site.institution
    data.StationName = site.station
    data.DeviceSerialNumber = f"{site.station}-1"
    data.SoftwareVersions = "1"
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator = "109100", "DCM"
    purpose.CodeMeaning = "Synthesizing Equipment"
    source = Dataset()
    source.Manufacturer = "Synthassay"
    source.ManufacturerModelName = "Digital phantom"
    source.PurposeOfReferenceCodeSequence = [purpose]
    data.ContributingEquipmentSequence = [source]
    return data


def _acquisition(image: Slice, size: int) -> Dataset:
    data = Dataset()
    data.SOPClassUID = MRImageStorage
    data.SOPInstanceUID = image.sop_uid
    data.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    data.SyntheticData = "YES"
    data.DerivationDescription = "Simulated: digital phantom, no patient was scanned"
    data.BurnedInAnnotation = "NO"
    data.LossyImageCompression = "00"
    data.ScanningSequence = ["SE", "IR"]
    data.SequenceVariant = ["SK", "SP"]
    data.ScanOptions = ""
    data.MRAcquisitionType = "2D"
    data.MagneticFieldStrength = f"{image.device.field_strength_t:g}"
    data.RepetitionTime, data.EchoTime, data.InversionTime, data.EchoTrainLength = "9000", "120", "2500", "16"
    return data


def _plane(image: Slice, size: int) -> Dataset:
    spacing = pixel_spacing_mm(size)
    offset = image.study.offsets_mm[image.index]
    corner = -FIELD_OF_VIEW_MM / 2 + spacing / 2  # the position is that of the first pixel's centre
    data = Dataset()
    data.ImagePositionPatient = [_decimal(corner), _decimal(corner), _decimal(offset)]
    data.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    data.PixelSpacing = [_decimal(spacing), _decimal(spacing)]
    data.SliceThickness = "5"
    data.SliceLocation = _decimal(offset)
    return data


def _add_pixels(data: Dataset, device: DeviceModel, stored: NDArray[np.uint16]) -> None:
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows, data.Columns = stored.shape
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, STORED_BITS, STORED_BITS - 1
    data.PixelRepresentation = 0
    data.RescaleIntercept, data.RescaleSlope = _decimal(device.rescale_intercept), _decimal(device.rescale_slope)
    data.RescaleType = "US"
    data.WindowCenter, data.WindowWidth = _decimal(device.gain / 2), _decimal(device.gain)
    data.PixelData = stored.astype("<u2").tobytes()
    data["PixelData"].VR = "OW"


def _date(day: dt.date) -> str:
    return day.strftime("%Y%m%d")


def _decimal(value: float) -> str:
    """A DICOM decimal string: at most 16 characters."""
    return f"{value:.8g}"
