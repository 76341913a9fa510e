"""One image as a DICOM file: a new header that holds what is known, the marks of its origin, and the pixels unchanged.

The class is MR or CT Image Storage where the modality and the place in the patient are known and the class allows the
pixels, else Secondary Capture (the modality is said there too). Synthetic images carry Synthetic Data = YES, Conversion
Type SYN and the software that made them (purpose 109100, Synthesizing Equipment). No attribute is copied from another
file, no source image is named, and UIDs are name-based (2.25 and a UUID, ITU-T X.667) on the content of the set, so
that equal sets get equal UIDs and none leads back to a scan.
"""

import uuid
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, SecondaryCaptureImageStorage
from pydicom.valuerep import DSfloat

from synthassay.scans.facts import ImageFacts
from synthassay.scans.orientation import Axis

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:synthassay:export")
SOFTWARE = "Synthassay"
UNKNOWN_MODALITY = "OT"
MONTHS_BELOW = 2  # years: younger ages are written in months
SIDES: dict[Axis, list[str]] = {"axial": ["L", "P"], "coronal": ["L", "F"], "sagittal": ["P", "F"]}  # left, back, feet
CODE_VIEW = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _")
Pixels = NDArray[np.uint8] | NDArray[np.uint16]


def encode_dicom(pixels: Pixels, facts: ImageFacts) -> bytes:
    """The complete file as bytes, uncompressed; equal arguments give equal bytes.

    ``pixels``: ``[c, h, w]``, uint8 or uint16; one channel is written as MONOCHROME2, three as RGB.
    """
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels must be [1 or 3, h, w] uint8 or uint16, got {pixels.shape} {pixels.dtype}")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = storage_class(pixels, facts)
    meta.MediaStorageSOPInstanceUID = uid(facts, "image", facts.image)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(f"2.25.{uuid.uuid5(NAMESPACE, 'implementation').int}")
    meta.ImplementationVersionName = SOFTWARE.upper()
    buffer = BytesIO()
    data = FileDataset(buffer, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    for part in (_patient(facts), _study_and_series(facts), _equipment(facts), _marks(facts)):
        data.update(part)
    data.update(_acquisition(meta.MediaStorageSOPClassUID, facts))
    data.update(_place(facts))
    _add_pixels(data, pixels)
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def storage_class(pixels: Pixels, facts: ImageFacts) -> UID:
    """The SOP class. MR and CT need a place in the patient and one channel, and CT more than 8 bits."""
    placed = facts.grid is not None and facts.grid.directions is not None and pixels.shape[0] == 1
    if placed and facts.modality == "MR":
        return MRImageStorage
    if placed and facts.modality == "CT" and pixels.dtype == np.uint16:
        return CTImageStorage
    return SecondaryCaptureImageStorage


def uid(facts: ImageFacts, *level: str) -> UID:
    """The UID of something of the set."""
    name = "\x1f".join([facts.namespace, facts.source, *level])
    return UID(f"2.25.{uuid.uuid5(NAMESPACE, name).int}")


def age_string(age: float | None) -> str:
    """A DICOM age: ``034Y``, under two years ``018M``, ``""`` where unknown."""
    if age is None:
        return ""
    return f"{round(12 * age):03d}M" if age < MONTHS_BELOW else f"{int(age):03d}Y"


def _patient(facts: ImageFacts) -> Dataset:
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.PatientName = data.PatientID = facts.patient
    data.PatientBirthDate = ""
    data.PatientSex = facts.sex or ""
    if facts.age is not None:
        data.PatientAge = age_string(facts.age)
    return data


def _study_and_series(facts: ImageFacts) -> Dataset:
    data = Dataset()
    data.StudyInstanceUID = uid(facts, "study", facts.patient, facts.study)
    data.SeriesInstanceUID = uid(facts, "series", facts.patient, facts.study, facts.series)
    data.StudyDate = data.StudyTime = data.ReferringPhysicianName = data.StudyID = data.AccessionNumber = ""
    data.Modality = facts.modality or UNKNOWN_MODALITY
    data.SeriesNumber = 1
    data.InstanceNumber = facts.number
    data.SeriesDescription = facts.view or facts.source
    if facts.view is not None and len(facts.view) <= 16 and CODE_VIEW.issuperset(facts.view):
        data.ViewPosition = facts.view
    if facts.label is not None:
        data.ImageComments = facts.label
    return data


def _equipment(facts: ImageFacts) -> Dataset:
    data = Dataset()
    data.Manufacturer = ""
    if facts.site is not None:
        data.InstitutionName = facts.site
    if facts.device is not None:
        data.ManufacturerModelName = facts.device
    if facts.made == "generated":
        source = Dataset()
        source.Manufacturer, source.ManufacturerModelName = facts.maker, facts.source
        source.PurposeOfReferenceCodeSequence = [_code("109100", "Synthesizing Equipment")]
        data.ContributingEquipmentSequence = [source]
    return data


def _marks(facts: ImageFacts) -> Dataset:
    """How the image came about and what was taken away."""
    said = [f"set {facts.source}", *(f"{name} {getattr(facts, name)}" for name in ("split", "seed")
                                     if getattr(facts, name) is not None)]  # fmt: skip
    data = Dataset()
    data.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    if facts.made == "generated":
        data.SyntheticData = "YES"
        data.BurnedInAnnotation = "NO"  # of a patient there is none to be named
        said.insert(0, "Synthetic: made by a model, no patient was scanned")
    else:
        said.insert(0, "Cut, scaled and windowed to one size")
    data.DerivationDescription = "; ".join(said)
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = "Header written anew; patient and study by pseudonym"
    codes = [_code("113100", "Basic Application Confidentiality Profile")]
    if facts.site is not None:
        codes.append(_code("113112", "Retain Institution Identity Option"))
    if facts.device is not None:
        codes.append(_code("113109", "Retain Device Identity Option"))
    if facts.sex is not None or facts.age is not None:
        codes.append(_code("113108", "Retain Patient Characteristics Option"))
    data.DeidentificationMethodCodeSequence = codes
    return data


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _acquisition(kind: UID, facts: ImageFacts) -> Dataset:
    """What the class must state; where nobody knows it, empty if the standard allows, else what claims nothing."""
    data = Dataset()
    if kind == SecondaryCaptureImageStorage:
        data.ConversionType = "SYN" if facts.made == "generated" else "WSD"  # synthetic, or from a workstation
    if kind == MRImageStorage:
        data.ScanningSequence, data.SequenceVariant = "RM", "NONE"  # research mode
        data.ScanOptions = data.MRAcquisitionType = ""
        data.RepetitionTime = data.EchoTime = data.EchoTrainLength = data.InversionTime = None
    if kind == CTImageStorage:
        data.KVP = data.AcquisitionNumber = None
        data.RescaleIntercept, data.RescaleSlope, data.RescaleType = 0, 1, "US"  # stored values, no Hounsfield units
    return data


def _place(facts: ImageFacts) -> Dataset:
    """Spacing and place, or where only the plane is known, the patient's sides that rows and columns run to."""
    data = Dataset()
    grid = facts.grid
    if grid is not None:
        data.PixelSpacing = [_decimal(value) for value in grid.spacing]
        data.SliceThickness = None if grid.step is None else _decimal(grid.step)
    if grid is None or grid.directions is None or grid.position is None:
        data.PatientOrientation = "" if grid is None or grid.axis is None else SIDES[grid.axis]
    else:
        data.ImagePositionPatient = [_decimal(value) for value in grid.position]
        data.ImageOrientationPatient = [_decimal(value) for value in grid.directions]
        data.FrameOfReferenceUID = uid(facts, "frame", facts.patient, facts.study, facts.series)
        data.PositionReferenceIndicator = ""
    return data


def _decimal(value: float) -> DSfloat:
    """A DICOM decimal string: at most 16 characters, as near as they allow."""
    return DSfloat(value, auto_format=True)


def _add_pixels(data: Dataset, pixels: Pixels) -> None:
    channels, rows, columns = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    # MR and CT Image Storage allow no other allocation than 16 bits.
    allocated = 8 if bits == 8 and data.SOPClassUID == SecondaryCaptureImageStorage else 16
    data.SamplesPerPixel, data.Rows, data.Columns = channels, rows, columns
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = allocated, bits, bits - 1, 0
    if channels == 3:
        data.PhotometricInterpretation, data.PlanarConfiguration = "RGB", 0
    else:
        data.PhotometricInterpretation = "MONOCHROME2"
        data.WindowCenter, data.WindowWidth = 2 ** (bits - 1), 2**bits  # all values, black to white
    stored = np.ascontiguousarray(np.moveaxis(pixels, 0, 2)).astype("u1" if allocated == 8 else "<u2").tobytes()
    data.PixelData = stored + b"\0" * (len(stored) % 2)
    data["PixelData"].VR = "OB" if allocated == 8 else "OW"
