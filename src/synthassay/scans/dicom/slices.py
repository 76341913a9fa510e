"""What the header says about each slice of a file: where it lies, and what tells the stacks of a series apart."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synthassay.scans.dicom import mosaic
from synthassay.scans.dicom.attributes import (
    listed,
    number_of,
    numbers_of,
    private_number_of,
    private_of,
    text_of,
    value_of,
    whole_of,
)
from synthassay.scans.dicom.geometry import is_orientation
from synthassay.scans.dicom.groups import functional
from synthassay.scans.unreadable import Unreadable

# Where vendors wrote b-values before the standard had a place for them: Siemens, Philips, United Imaging, Hitachi; GE.
PRIVATE_B = (("SIEMENS MR HEADER", 0x0019, 0x0C), ("Philips Imaging DD 001", 0x2001, 0x03),
             ("Image Private Header", 0x0065, 0x09), ("MMCPrivate", 0x0029, 0x30))  # fmt: skip
GE_PARAMETERS = ("GEMS_PARM_01", 0x0043)
LOCALISERS = frozenset({"LOCALIZER", "SCOUT", "TOPOGRAM"})
# How MR, where the image type does not tell them, describes localisers; echo-planar ones are of functional imaging.
PLANNING = frozenset({"localizer", "localiser", "localizers", "localisers", "scout", "survey"})
# The short word is of a localiser only among these, planes and quick sequences: others write it for any location.
SHORT = "loc"
BESIDE_SHORT = frozenset({
    SHORT, "plane", "planes", "pl", "ax", "axial", "tra", "trans", "transverse", "sag", "sagittal", "cor", "coronal",
    "ssfse", "fgre", "fiesta", "haste", "trufi", "bffe",
})  # fmt: skip
SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
FLAT, CENTIMETRES = 1, 3  # of ultrasound regions: their spatial format, and their units
# What may tell images of one place apart: name, functional group and attribute of enhanced files, attribute of others.
TELLING = (
    ("heart phase", "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", "TriggerTime"),
    ("heart phase", "CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase",
     "NominalPercentageOfCardiacPhase"),
    ("inversion time", "MRModifierSequence", "InversionTimes", "InversionTime"),
    ("flip angle", "MRTimingAndRelatedParametersSequence", "FlipAngle", "FlipAngle"),
    ("tube voltage", "CTXRayDetailsSequence", "KVP", "KVP"),
    ("kernel", "CTReconstructionSequence", "ConvolutionKernel", "ConvolutionKernel"),
    ("diffusion direction", "", "", "DiffusionGradientOrientation"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFacts:
    """One slice. mm, LPS+; ``spacing`` of rows and columns, ``between`` of slices (else their thickness).

    ``order`` sorts repeats: acquisition, instance, frame. ``kind`` is the image type, ``telling`` the values of
    :data:`TELLING`.
    """

    frame: int
    rows: int
    columns: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    between: float | None
    kind: tuple[str, ...]
    echo: tuple[float | None, ...]
    b_value: float | None
    time: int | None
    stack: str
    order: tuple[float, ...]
    telling: tuple[str, ...] = ()
    is_localiser: bool = False  # whether the image type or the series' description says that it plans the others


def slice_facts(dataset: Any) -> list[SliceFacts]:
    """The slices of a file in the order of its frames; of a mosaic, in the order of its tiles.

    Raises :class:`Unreadable` for a mosaic whose arrangement is not written.
    """
    frames = max(1, whole_of(dataset, "NumberOfFrames") or 1)
    if mosaic.is_mosaic(dataset):
        if frames > 1:
            raise Unreadable("ImageType", "MOSAIC", "many slices in one picture, and several such frames")
        layout = mosaic.mosaic_of(dataset)
        return [_facts(dataset, i, layout.rows, layout.columns, layout.positions[i]) for i in range(layout.count)]
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    return [_facts(dataset, index, rows, columns, None) for index in range(frames)]


def _facts(dataset: Any, frame: int, rows: int, columns: int, position: tuple[float, ...] | None) -> SliceFacts:
    def group(sequence: str) -> Any:
        return functional(dataset, frame, sequence) or dataset

    measures, content = group("PixelMeasuresSequence"), group("FrameContentSequence")
    orientation = numbers_of(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6)
    several = (whole_of(dataset, "NumberOfFrames") or 1) > 1
    if position is None and not (several and group("PlanePositionSequence") is dataset):
        position = numbers_of(group("PlanePositionSequence"), "ImagePositionPatient", 3)
    kind = _kind(dataset, frame)
    acquisition, instance = (number_of(dataset, keyword) or 0.0 for keyword in ("AcquisitionNumber", "InstanceNumber"))
    return SliceFacts(
        frame=frame, rows=rows, columns=columns, position=position,
        orientation=orientation if is_orientation(orientation) else None,
        spacing=spacing_of(measures) or spacing_of(dataset),
        between=number_of(measures, "SpacingBetweenSlices") or number_of(measures, "SliceThickness"),
        kind=kind, echo=_echo(dataset, frame), b_value=_b_value(dataset, frame),
        time=whole_of(content, "TemporalPositionIndex") or whole_of(dataset, "TemporalPositionIdentifier"),
        stack=text_of(content, "StackID"), order=(acquisition, instance, float(frame)),
        telling=tuple(_told(dataset, frame, *where) for _, *where in TELLING),
        is_localiser=not LOCALISERS.isdisjoint(kind) or _is_planning(dataset),
    )  # fmt: skip


def spacing_of(place: Any) -> tuple[float, ...] | None:
    """mm between rows and between columns: in the patient, else at the detector, on the film or of an ultrasound."""
    for keyword in SPACINGS:
        spacing = numbers_of(place, keyword, 2)
        if spacing and min(spacing) > 0:
            return spacing
    return _spacing_of_regions(listed(value_of(place, "SequenceOfUltrasoundRegions")))


def _spacing_of_regions(regions: Sequence[Any]) -> tuple[float, ...] | None:
    """The one of all regions of an ultrasound image that show tissue in two dimensions."""
    found = set()
    for region in regions:
        units = {whole_of(region, f"PhysicalUnits{axis}Direction") for axis in "XY"}
        deltas = [number_of(region, f"PhysicalDelta{axis}") for axis in "YX"]
        if whole_of(region, "RegionSpatialFormat") == FLAT and units == {CENTIMETRES} and all(deltas):
            found.add(tuple(10 * abs(delta or 0.0) for delta in deltas))
    return found.pop() if len(found) == 1 else None


def _kind(dataset: Any, frame: int) -> tuple[str, ...]:
    names = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence", "XAXRFFrameCharacteristics"
             "Sequence")  # fmt: skip
    own = next((found for name in names if (found := functional(dataset, frame, name))), None)
    written = listed(value_of(own, "FrameType")) if own else []
    kind = tuple(str(part) for part in written or listed(value_of(dataset, "ImageType")))
    # Magnitude, phase, real or imaginary: GE gives all one image type.
    part = private_of(dataset, *GE_PARAMETERS, 0x2F)
    return kind if part is None else (*kind, str(part))


def _is_planning(dataset: Any) -> bool:
    if text_of(dataset, "Modality") != "MR" or text_of(dataset, "EchoPlanarPulseSequence") == "YES":
        return False
    if "EP" in listed(value_of(dataset, "ScanningSequence")):
        return False
    # Not by the protocol's name, which on some scanners is that of the whole examination.
    words = set(re.findall(r"[^\W_\d]+", text_of(dataset, "SeriesDescription").lower()))
    return not PLANNING.isdisjoint(words) or SHORT in words <= BESIDE_SHORT


def _told(dataset: Any, frame: int, sequence: str, keyword: str, classic: str) -> str:
    own = functional(dataset, frame, sequence) if sequence else None
    return text_of(dataset, classic) if own is None else text_of(own, keyword)


def _echo(dataset: Any, frame: int) -> tuple[float | None, ...]:
    own = functional(dataset, frame, "MREchoSequence")
    time = number_of(own, "EffectiveEchoTime") if own else number_of(dataset, "EchoTime")
    return number_of(dataset, "EchoNumbers"), None if time is None else round(time, 2)


def _b_value(dataset: Any, frame: int) -> float | None:
    own = functional(dataset, frame, "MRDiffusionSequence")
    for place in (own, dataset):
        value = number_of(place, "DiffusionBValue") if place else None
        if value is not None:
            return value
    if text_of(dataset, "Modality") != "MR":  # some makers use the same block for other scanners
        return None
    for maker in PRIVATE_B:
        value = private_number_of(dataset, *maker)
        if value is not None:
            return value
    value = private_number_of(dataset, *GE_PARAMETERS, 0x39)
    return None if value is None else value % 100_000  # GE adds 10⁹ in some versions
