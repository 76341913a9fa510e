"""Every fact that the header of one file tells, typed; what is missing or damaged is None."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.uid import RTDoseStorage, SecondaryCaptureImageStorage, SegmentationStorage

from synthassay.scans.dicom.attributes import listed, number_of, numbers_of, text_of, value_of, whole_of
from synthassay.scans.dicom.files import guarded, open_header
from synthassay.scans.dicom.groups import functional
from synthassay.scans.dicom.slices import SliceFacts, slice_facts, spacing_of
from synthassay.scans.limits import LimitSpec, check_frames, check_values
from synthassay.scans.natures import Nature
from synthassay.scans.text import age_of, clean, date_of, sex_of
from synthassay.scans.unreadable import Unreadable

OVERLAYS = frozenset(group << 16 | 0x0010 for group in range(0x6000, 0x6020, 2))  # rows of each overlay


# What has rows and columns, and shows no patient.
NOT_SCANS: dict[str, str] = {
    SegmentationStorage: "a segmentation", "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation",  # label map
    RTDoseStorage: "a planned dose",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomHeader:
    """One file as its header describes it. Texts are clean (:func:`synthassay.scans.text.clean`) but identifiers whole.

    Lengths are mm, positions and directions LPS+ (DICOM's), ``spacing_mm`` rows before columns, ``day`` a proleptic
    ordinal, ``age`` as :func:`synthassay.scans.text.age_of` gives it, ``overlays`` a count. ``slices`` are one for each
    frame or tile of a mosaic. ``extra`` holds the asked keywords as text.
    """

    patient_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    frame_of_reference: str
    transfer_syntax: str
    institution: str | None
    station: str | None
    manufacturer: str | None
    model: str | None
    software: str | None
    field_strength_t: float | None
    kvp: float | None
    kernel: str | None
    view: str | None
    view_code: str | None  # of the view code sequence
    laterality: str | None
    body_part: str | None
    sex: str | None
    age: float | None
    day: int | None
    modality: str | None
    image_type: tuple[str, ...]
    natures: frozenset[Nature]
    rows: int
    columns: int
    frames: int
    samples: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, ...] | None
    overlays: int
    padded: bool  # whether it names a value for what was not scanned
    slice_thickness: float | None
    slice_spacing: float | None
    gantry_tilt: float | None
    echo_number: int | None
    echo_time: float | None
    b_value: float | None
    temporal_position: int | None
    series_number: int | None
    acquisition_number: int | None
    instance_number: int | None
    slices: tuple[SliceFacts, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)


def read_header(path: Path, limits: LimitSpec, extra_keywords: Sequence[str] = ()) -> DicomHeader:
    """What the header of one file says. Raises :class:`Unreadable` for anything that holds no image."""
    return header_of(open_header(path, limits), limits, extra_keywords)


def header_of(dataset: Any, limits: LimitSpec, extra_keywords: Sequence[str] = ()) -> DicomHeader:
    """What a dataset that was opened says. Raises :class:`Unreadable` for one that holds no image."""
    with guarded("header", "the DICOM header is damaged"):
        check_shape(dataset, limits)
        return _header(dataset, extra_keywords)


def check_shape(dataset: Any, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` where a header describes no image or one of more values than ``limits`` allow."""
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if rows < 1 or columns < 1:
        raise Unreadable("Rows, Columns", "absent", "not a scan: the DICOM file holds no image")
    made = NOT_SCANS.get(text_of(dataset, "SOPClassUID"))
    if made is not None:
        raise Unreadable("SOPClassUID", made, f"not a scan: {made}")
    samples = int(dataset.get("SamplesPerPixel") or 1)
    if samples not in (1, 3):
        raise Unreadable("SamplesPerPixel", str(samples), "neither grey nor a colour of three channels")
    frames = max(1, int(dataset.get("NumberOfFrames") or 1))
    check_frames(frames, limits)
    check_values(rows * columns * frames * samples, limits, "Rows, Columns, NumberOfFrames")


def _header(dataset: Any, extra_keywords: Sequence[str]) -> DicomHeader:
    def words(keyword: str, group: str | None = None) -> str | None:
        place = functional(dataset, 0, group) if group else None
        return clean(" ".join(map(str, listed(value_of(place or dataset, keyword)))))  # software has several versions

    scanned = next((day for keyword in ("AcquisitionDate", "AcquisitionDateTime", "StudyDate", "SeriesDate")
                    if (day := date_of(value_of(dataset, keyword)))), None)  # fmt: skip
    return DicomHeader(
        patient_id=patient_id_of(dataset), study_uid=text_of(dataset, "StudyInstanceUID"),
        series_uid=text_of(dataset, "SeriesInstanceUID"), sop_uid=text_of(dataset, "SOPInstanceUID"),
        sop_class=text_of(dataset, "SOPClassUID"), frame_of_reference=text_of(dataset, "FrameOfReferenceUID"),
        transfer_syntax=str(dataset.file_meta.get("TransferSyntaxUID", "")), institution=words("InstitutionName"),
        station=words("StationName"), manufacturer=words("Manufacturer"), model=words("ManufacturerModelName"),
        software=words("SoftwareVersions"), field_strength_t=number_of(dataset, "MagneticFieldStrength"),
        kvp=number_of(functional(dataset, 0, "CTXRayDetailsSequence") or dataset, "KVP"),
        kernel=words("ConvolutionKernel", "CTReconstructionSequence"), view=words("ViewPosition"),
        view_code=_code(dataset, "ViewCodeSequence"),
        laterality=words("ImageLaterality") or words("FrameLaterality", "FrameAnatomySequence") or words("Laterality"),
        body_part=words("BodyPartExamined"), sex=sex_of(value_of(dataset, "PatientSex")),
        age=age_of(value_of(dataset, "PatientAge"), value_of(dataset, "PatientBirthDate"), scanned),
        day=scanned.toordinal() if scanned else None, modality=words("Modality"),
        image_type=tuple(map(str, listed(value_of(dataset, "ImageType")))), natures=_natures(dataset),
        rows=int(dataset.Rows), columns=int(dataset.Columns), frames=max(1, int(dataset.get("NumberOfFrames") or 1)),
        samples=int(dataset.get("SamplesPerPixel") or 1), position=numbers_of(dataset, "ImagePositionPatient", 3),
        orientation=numbers_of(dataset, "ImageOrientationPatient", 6),
        spacing_mm=spacing_of(dataset),
        overlays=len(dataset.keys() & OVERLAYS), padded=value_of(dataset, "PixelPaddingValue") is not None,
        slice_thickness=number_of(dataset, "SliceThickness"), slice_spacing=number_of(dataset, "SpacingBetweenSlices"),
        gantry_tilt=number_of(dataset, "GantryDetectorTilt"), echo_number=whole_of(dataset, "EchoNumbers"),
        echo_time=number_of(dataset, "EchoTime"), b_value=number_of(dataset, "DiffusionBValue"),
        temporal_position=whole_of(dataset, "TemporalPositionIdentifier"),
        series_number=whole_of(dataset, "SeriesNumber"),
        acquisition_number=whole_of(dataset, "AcquisitionNumber"), instance_number=whole_of(dataset, "InstanceNumber"),
        slices=tuple(slice_facts(dataset)), extra={keyword: text_of(dataset, keyword) for keyword in extra_keywords},
    )  # fmt: skip


def patient_id_of(dataset: Any) -> str:
    """``""`` also where the id says that it was taken out: it would make one person of many."""
    written = text_of(dataset, "PatientID")
    return "" if clean(written) is None else written


def _natures(dataset: Any) -> frozenset[Nature]:
    said: dict[Nature, bool] = {
        # Those of several frames have UIDs that go on from it.
        "secondary_capture": f"{text_of(dataset, 'SOPClassUID')}.".startswith(f"{SecondaryCaptureImageStorage}."),
        "derived": listed(value_of(dataset, "ImageType"))[:1] == ["DERIVED"],
        "for_processing": text_of(dataset, "PresentationIntentType").upper() == "FOR PROCESSING",
    }
    return frozenset(nature for nature, holds in said.items() if holds)


def _code(dataset: Any, keyword: str) -> str | None:
    """The code value of a sequence's first item."""
    items = value_of(dataset, keyword)
    return clean(value_of(items[0], "CodeValue")) if items else None
