"""DICOM: what the header says, and the pixels in rescaled units.

Nothing is guessed from files without the DICOM prefix, and no text of a header enters a message: pydicom's own
warnings and errors quote values, so warnings are silenced and errors are named by their type only.
"""

import hashlib
import io
import re
import warnings
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_rescale
from pydicom.pixels.utils import pixel_array

from synthassay.cohorts.planes import finish
from synthassay.cohorts.sources import FileImages, Source
from synthassay.cohorts.specs import CohortSpec, DicomSpec
from synthassay.scans.limits import check_size
from synthassay.scans.planes import RawPlane
from synthassay.scans.text import age_of, clean, date_of, device_name, sex_of
from synthassay.scans.unreadable import Unreadable

HEADER = (
    "PatientID", "PatientBirthDate", "PatientAge", "PatientSex", "StudyInstanceUID", "SeriesInstanceUID",
    "SOPInstanceUID", "StudyDate", "SeriesDate", "AcquisitionDate", "Modality", "ImageType", "Manufacturer",
    "ManufacturerModelName", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "ImagePositionPatient",
    "ImageOrientationPatient", "SpecificCharacterSet",
)  # fmt: skip
# A small file can inflate to more than the memory holds, and pydicom inflates files of the first kind for their header.
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.8.1"})
NO_DECODER = "no decoder for this compression is installed (for JPEG Lossless: pip install python-gdcm)"


def read_header(root: Path, path: str, spec: DicomSpec) -> Source:
    """What the header of one file says. Raises :class:`Unreadable` for anything that is not an image to read."""
    check_size(root / path, spec.limits)
    with (root / path).open("rb") as stream:
        if stream.read(132)[128:] != b"DICM":
            raise Unreadable("file", "no DICM prefix", "not a scan: not a DICOM file")
    keywords = dict.fromkeys([*HEADER, *_asked(spec)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if read_file_meta_info(root / path).get("TransferSyntaxUID") in DEFLATED:
                raise Unreadable("TransferSyntaxUID", "deflated", "deflated files are not read; save it uncompressed")
            header = pydicom.dcmread(root / path, stop_before_pixels=True, specific_tags=list(keywords))
            return _source(header, path, spec)
        except (Unreadable, MemoryError):
            raise
        except Exception as error:  # a damaged header can fail in any of pydicom's converters
            raise Unreadable("header", type(error).__name__, "the DICOM header is damaged") from error


def _asked(spec: DicomSpec) -> list[str]:
    label = spec.label.source.partition("header:")[2]
    return [keyword for keyword in (spec.site_from, spec.view_from, label) if keyword not in ("", "none")]


def _source(header: Any, path: str, spec: DicomSpec) -> Source:
    refusal = _refusal(header, spec)
    if refusal:
        raise Unreadable(*refusal)
    series, uid = _text(header, "SeriesInstanceUID"), _text(header, "SOPInstanceUID")
    study = _text(header, "StudyInstanceUID") or series or path
    scanned = date_of(header.get("AcquisitionDate")) or date_of(header.get("StudyDate")) or date_of(
        header.get("SeriesDate"))  # fmt: skip
    label = spec.label.source.partition("header:")[2]
    return Source(
        # Without a patient id, what is known to be one person's is the study.
        path=path, patient=_text(header, "PatientID") or f"study {study}", study=study, series=series or path, uid=uid,
        site=clean(header.get(spec.site_from)) if spec.site_from != "none" else None,
        device=device_name(header.get("Manufacturer"), header.get("ManufacturerModelName")),
        view=clean(header.get(spec.view_from)) if spec.view_from != "none" else None,
        sex=sex_of(header.get("PatientSex")),
        age=age_of(header.get("PatientAge"), header.get("PatientBirthDate"), scanned),
        day=scanned.toordinal() if scanned else None, label=_text(header, label) or None if label else None,
        along_normal=_along_normal(header.get("ImagePositionPatient"), header.get("ImageOrientationPatient")),
    )  # fmt: skip


def _refusal(header: Any, spec: DicomSpec) -> tuple[str, str, str] | None:
    """(field, found, reason) where a readable header says that the file is not for this cohort."""
    rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
    if rows < 1 or columns < 1:
        return "Rows, Columns", "absent", "not a scan: the DICOM file holds no image"
    voxels = rows * columns * max(1, int(header.get("NumberOfFrames") or 1)) * int(header.get("SamplesPerPixel") or 1)
    if voxels > spec.limits.voxels:
        return "Rows, Columns, NumberOfFrames", f"{voxels} values", "more than cohort.limits.voxels"
    modality = clean(header.get("Modality")) or "absent"
    if spec.modalities and modality not in spec.modalities:
        shown = modality if re.fullmatch("[A-Z]{2,4}|absent", modality) else "another value"
        return "Modality", shown, "not one of cohort.modalities"
    kinds = header.get("ImageType") or ()
    if "MOSAIC" in ([kinds] if isinstance(kinds, str) else list(kinds)):
        return "ImageType", "MOSAIC", "many slices tiled into one picture; convert it to single slices first"
    return None


def _text(header: Any, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else " ".join(str(value).split())


def _along_normal(position: Sequence[Any] | None, orientation: Sequence[Any] | None) -> float | None:
    """mm of a slice along the normal of its plane: the order of slices, however the stack is tilted."""
    if not position or not orientation or len(position) != 3 or len(orientation) != 6:
        return None
    directions = np.asarray([float(value) for value in orientation])
    return round(float(np.cross(directions[:3], directions[3:]) @ [float(value) for value in position]), 3)


def place_in_series(sources: Sequence[Source]) -> dict[str, tuple[int, float]]:
    """Slice index and position (0 to 1) of files that are slices of a series, by path.

    Slices of one place (a time series) share an index. A series with one place has no positions.
    """
    slices = sorted((s for s in sources if s.along_normal is not None), key=lambda source: source.series)
    placed: dict[str, tuple[int, float]] = {}
    for _, members in groupby(slices, key=lambda source: source.series):
        stack = list(members)
        places = sorted({source.along_normal for source in stack if source.along_normal is not None})
        rank = {place: index for index, place in enumerate(places)}
        if len(places) < 2:
            continue
        for source in stack:
            index = rank[source.along_normal or 0.0]
            placed[source.path] = (index, index / (len(places) - 1))
    return placed


def read_images(root: Path, source: Source, spec: CohortSpec) -> FileImages:
    """All frames of one file in rescaled units, MONOCHROME1 inverted. Raises :class:`Unreadable`."""
    content = (root / source.path).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(io.BytesIO(content))
            frames = _frames(dataset)
            planes = [_plane(dataset, frame, index) for index, frame in enumerate(frames)]
        except MemoryError:
            raise
        except NotImplementedError as error:
            raise Unreadable("TransferSyntaxUID", "unsupported", NO_DECODER) from error
        except Exception as error:  # decoders raise whatever they like on damaged data
            raise _explained(error) from error
    return finish(_positioned(dataset, planes), spec, hashlib.sha256(content).hexdigest())


def _explained(error: Exception) -> Unreadable:
    if isinstance(error, RuntimeError) and "missing dependencies" in str(error):
        return Unreadable("TransferSyntaxUID", "no decoder", NO_DECODER)
    return Unreadable("PixelData", type(error).__name__, "the pixel data are truncated or damaged")


def _frames(dataset: Any) -> NDArray[Any]:
    """Stored values ``[frames, h, w]`` or, for colour, ``[frames, h, w, 3]`` scaled to 0..255 as float32."""
    frames = pixel_array(dataset)
    photometric = dataset.PhotometricInterpretation
    bits = int(dataset.BitsStored)
    if photometric == "PALETTE COLOR":
        frames = apply_color_lut(frames, dataset)
        bits = 8 * frames.dtype.itemsize
    colour = photometric == "PALETTE COLOR" or int(dataset.SamplesPerPixel) == 3
    if frames.ndim == (3 if colour else 2):
        frames = frames[None]
    return frames[..., :3].astype(np.float32) * np.float32(255 / (2**bits - 1)) if colour else frames


def _plane(dataset: Any, frame: NDArray[Any], index: int) -> RawPlane:
    if frame.ndim == 2:
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            signed = int(dataset.PixelRepresentation) == 1
            # The mirror image within the stored range, so that equal values stay equal across files of one depth.
            frame = (-1 if signed else 2 ** int(dataset.BitsStored) - 1) - frame.astype(np.int64)
        transform = _functional(dataset, index, "PixelValueTransformationSequence")
        frame = apply_modality_lut(frame, dataset) if transform is None else apply_rescale(frame, transform)
    measures = _functional(dataset, index, "PixelMeasuresSequence") or dataset
    plane = _functional(dataset, index, "PlaneOrientationSequence") or dataset
    return RawPlane(values=np.asarray(frame, np.float32), frame=index, spacing_mm=_spacing(measures),
                    orientation=_orientation(plane.get("ImageOrientationPatient")))  # fmt: skip


def _functional(dataset: Any, index: int, sequence: str) -> Any | None:
    """The item of an enhanced file's functional group for one frame: its own, else the shared one, else None."""
    own, shared = dataset.get("PerFrameFunctionalGroupsSequence"), dataset.get("SharedFunctionalGroupsSequence")
    for groups in ([own[index]] if own and index < len(own) else [], shared or []):
        for group in groups:
            if group.get(sequence):
                return group.get(sequence)[0]
    return None


def _spacing(measures: Any) -> tuple[float, ...] | None:
    in_plane = measures.get("PixelSpacing") or measures.get("ImagerPixelSpacing")
    if not in_plane or len(in_plane) != 2:
        return None
    between = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    return tuple(float(value) for value in ([*in_plane, between] if between else in_plane))


def _orientation(directions: Sequence[Any] | None) -> str | None:
    if not directions or len(directions) != 6:
        return None
    values = np.asarray([float(value) for value in directions])
    return ("sagittal", "coronal", "axial")[int(np.abs(np.cross(values[:3], values[3:])).argmax())]


def _positioned(dataset: Any, planes: list[RawPlane]) -> list[RawPlane]:
    """Give the frames of a multi-frame file their place along the normal, or in the file where none is written."""
    if len(planes) < 2:
        return planes
    places = []
    for index in range(len(planes)):
        position = _functional(dataset, index, "PlanePositionSequence")
        orientation = _functional(dataset, index, "PlaneOrientationSequence")
        known = position is not None and orientation is not None
        places.append(_along_normal(position.get("ImagePositionPatient"), orientation.get("ImageOrientationPatient"))
                      if known and position is not None and orientation is not None else None)  # fmt: skip
    written = [place for place in places if place is not None]
    order = sorted(set(written)) if len(written) == len(planes) and len(set(written)) > 1 else None
    ranks = [order.index(place) for place in written] if order else list(range(len(planes)))
    last = max(ranks)
    return [_at(plane, rank, rank / last) for plane, rank in zip(planes, ranks, strict=True)]


def _at(plane: RawPlane, index: int, position: float) -> RawPlane:
    return RawPlane(values=plane.values, frame=plane.frame, slice_index=index, slice_position=position,
                    spacing_mm=plane.spacing_mm, orientation=plane.orientation)  # fmt: skip
