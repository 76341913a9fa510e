"""Every fact that the header of one file tells, typed; what is missing or damaged is None."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthassay.scans.dicom.files import guarded, open_header
from synthassay.scans.limits import LimitSpec, check_values
from synthassay.scans.text import age_of, clean, date_of, sex_of
from synthassay.scans.unreadable import Unreadable

KEYWORDS = (
    "PatientID", "PatientBirthDate", "PatientAge", "PatientSex", "StudyInstanceUID", "SeriesInstanceUID",
    "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID", "StudyDate", "SeriesDate", "AcquisitionDate", "Modality",
    "ImageType", "BodyPartExamined", "ViewPosition", "InstitutionName", "StationName", "Manufacturer",
    "ManufacturerModelName", "SoftwareVersions", "MagneticFieldStrength", "KVP", "ConvolutionKernel", "Rows", "Columns",
    "NumberOfFrames", "SamplesPerPixel", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "ImagerPixelSpacing", "SliceThickness", "SpacingBetweenSlices", "GantryDetectorTilt", "EchoNumbers", "EchoTime",
    "DiffusionBValue", "TemporalPositionIdentifier", "SeriesNumber", "AcquisitionNumber", "InstanceNumber",
    "SpecificCharacterSet",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomHeader:
    """One file as its header describes it. Texts are clean (:func:`synthassay.scans.text.clean`) but identifiers whole.

    Lengths are mm, positions and directions LPS+ (DICOM's), ``spacing_mm`` rows before columns, ``day`` a proleptic
    ordinal, ``age`` as :func:`synthassay.scans.text.age_of` gives it. ``extra`` holds the asked keywords as text.
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
    body_part: str | None
    sex: str | None
    age: float | None
    day: int | None
    modality: str | None
    image_type: tuple[str, ...]
    rows: int
    columns: int
    frames: int
    samples: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, ...] | None
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
    extra: Mapping[str, str] = field(default_factory=dict)


def read_header(path: Path, limits: LimitSpec, extra_keywords: Sequence[str] = ()) -> DicomHeader:
    """What the header of one file says. Raises :class:`Unreadable` for anything that holds no image."""
    dataset = open_header(path, limits, list(dict.fromkeys([*KEYWORDS, *extra_keywords])))
    with guarded("header", "the DICOM header is damaged"):
        check_shape(dataset, limits)
        return _header(dataset, extra_keywords)


def check_shape(dataset: Any, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` where a header describes no image or one of more values than ``limits`` allow."""
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if rows < 1 or columns < 1:
        raise Unreadable("Rows, Columns", "absent", "not a scan: the DICOM file holds no image")
    values = rows * columns * max(1, int(dataset.get("NumberOfFrames") or 1)) * int(dataset.get("SamplesPerPixel") or 1)
    check_values(values, limits, "Rows, Columns, NumberOfFrames")


def _header(dataset: Any, extra_keywords: Sequence[str]) -> DicomHeader:
    def words(keyword: str) -> str | None:
        return clean(_value(dataset, keyword))

    scanned = next((day for keyword in ("AcquisitionDate", "StudyDate", "SeriesDate")
                    if (day := date_of(_value(dataset, keyword)))), None)  # fmt: skip
    return DicomHeader(
        patient_id=text_of(dataset, "PatientID"), study_uid=text_of(dataset, "StudyInstanceUID"),
        series_uid=text_of(dataset, "SeriesInstanceUID"), sop_uid=text_of(dataset, "SOPInstanceUID"),
        sop_class=text_of(dataset, "SOPClassUID"), frame_of_reference=text_of(dataset, "FrameOfReferenceUID"),
        transfer_syntax=str(dataset.file_meta.get("TransferSyntaxUID", "")), institution=words("InstitutionName"),
        station=words("StationName"), manufacturer=words("Manufacturer"), model=words("ManufacturerModelName"),
        software=words("SoftwareVersions"), field_strength_t=_number(dataset, "MagneticFieldStrength"),
        kvp=_number(dataset, "KVP"), kernel=words("ConvolutionKernel"), view=words("ViewPosition"),
        body_part=words("BodyPartExamined"), sex=sex_of(_value(dataset, "PatientSex")),
        age=age_of(_value(dataset, "PatientAge"), _value(dataset, "PatientBirthDate"), scanned),
        day=scanned.toordinal() if scanned else None, modality=words("Modality"),
        image_type=tuple(map(str, _listed(_value(dataset, "ImageType")))), rows=int(dataset.Rows),
        columns=int(dataset.Columns), frames=max(1, int(dataset.get("NumberOfFrames") or 1)),
        samples=int(dataset.get("SamplesPerPixel") or 1), position=_numbers(dataset, "ImagePositionPatient", 3),
        orientation=_numbers(dataset, "ImageOrientationPatient", 6),
        spacing_mm=_numbers(dataset, "PixelSpacing", 2) or _numbers(dataset, "ImagerPixelSpacing", 2),
        slice_thickness=_number(dataset, "SliceThickness"), slice_spacing=_number(dataset, "SpacingBetweenSlices"),
        gantry_tilt=_number(dataset, "GantryDetectorTilt"), echo_number=_whole(dataset, "EchoNumbers"),
        echo_time=_number(dataset, "EchoTime"), b_value=_number(dataset, "DiffusionBValue"),
        temporal_position=_whole(dataset, "TemporalPositionIdentifier"), series_number=_whole(dataset, "SeriesNumber"),
        acquisition_number=_whole(dataset, "AcquisitionNumber"), instance_number=_whole(dataset, "InstanceNumber"),
        extra={keyword: text_of(dataset, keyword) for keyword in extra_keywords},
    )  # fmt: skip


def text_of(dataset: Any, keyword: str) -> str:
    """An attribute as text with single blanks, whole, ``""`` where it is missing or damaged."""
    value = _value(dataset, keyword)
    return "" if value is None else " ".join(str(value).split())


def _value(dataset: Any, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except Exception:  # an attribute whose bytes are no value of its kind says nothing
        return None


def _listed(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)


def _numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """So many finite numbers, or None."""
    try:
        values = tuple(float(value) for value in _listed(_value(dataset, keyword)))
    except (TypeError, ValueError):
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def _number(dataset: Any, keyword: str) -> float | None:
    values = _numbers(dataset, keyword, 1)
    return values[0] if values else None


def _whole(dataset: Any, keyword: str) -> int | None:
    value = _number(dataset, keyword)
    return None if value is None else int(value)
