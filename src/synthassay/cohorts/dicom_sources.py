"""DICOM files as scans of a cohort: whose, from where, which slice."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthassay.cohorts.carried import Carried
from synthassay.cohorts.phantom.truth import structures_of
from synthassay.cohorts.places import site_keyword
from synthassay.cohorts.planes import finish
from synthassay.cohorts.sources import FileImages, Source
from synthassay.cohorts.specs import CohortSpec, DicomSpec
from synthassay.cohorts.volumes import images_of
from synthassay.scans.devices import DeviceFacts, device_of, positive
from synthassay.scans.dicom.attributes import text_of
from synthassay.scans.dicom.deidentify import check_header
from synthassay.scans.dicom.files import guarded, open_header
from synthassay.scans.dicom.header import DicomHeader, header_of, patient_id_of
from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.dicom.series import Stack
from synthassay.scans.dicom.volumes import read_volume
from synthassay.scans.natures import FIELDS
from synthassay.scans.pool import restart_clock
from synthassay.scans.text import clean
from synthassay.scans.unreadable import Unreadable
from synthassay.scans.views import view_of

# PS3.3, C.7.3.1.1.1, with those that were retired.
MODALITIES = frozenset({
    "ANN", "AR", "AS", "ASMT", "AU", "BDUS", "BI", "BMD", "CD", "CF", "CFM", "CP", "CR", "CS", "CT", "CTPROTOCOL",
    "DD", "DF", "DG", "DM", "DMS", "DOC", "DS", "DX", "EC", "ECG", "EEG", "EMG", "EOG", "EPS", "ES", "FA", "FID",
    "FS", "GM", "HC", "HD", "IO", "IOL", "IVOCT", "IVUS", "KER", "KO", "LEN", "LP", "LS", "M3D", "MA", "MG", "MR",
    "MS", "NM", "OAM", "OCT", "OP", "OPM", "OPR", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA", "PLAN",
    "POS", "PR", "PT", "PX", "REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN", "RTRAD",
    "RTRECORD", "RTSEGANN", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "ST", "STAIN", "TEXTUREMAP", "TG",
    "US", "VA", "VF", "XA", "XAPROTOCOL", "XC",
})  # fmt: skip


def read_source(root: Path, path: str, spec: DicomSpec) -> Source:
    """What the header of one file says. Raises :class:`Unreadable` for anything that is not an image to read."""
    return source_of(open_header(root / path, spec.limits), path, spec)


def carried_by(dataset: Any, path: str) -> Carried:
    """What the header of a file that was opened carries about people."""
    with guarded("header", "the DICOM header is damaged"):
        patient = patient_id_of(dataset) or text_of(dataset, "StudyInstanceUID") or path
        return Carried(check_header(dataset, path), patient, text_of(dataset, "SeriesInstanceUID") or path)


def source_of(dataset: Any, path: str, spec: DicomSpec) -> Source:
    """The same for a file that was opened."""
    header = header_of(dataset, spec.limits, _asked(spec))
    refusal = _refusal(header, spec)
    if refusal:
        raise Unreadable(*refusal)
    return _source(header, path, spec)


def _asked(spec: DicomSpec) -> list[str]:
    return [
        keyword
        for keyword in (site_keyword(spec), spec.view_from, _label_keyword(spec))
        if keyword not in (None, "", "none")
    ]


def _label_keyword(spec: DicomSpec) -> str:
    return spec.label.source.partition("header:")[2]


def _source(header: DicomHeader, path: str, spec: DicomSpec) -> Source:
    study = header.study_uid or header.series_uid or path
    scanner = DeviceFacts(
        manufacturer=header.manufacturer, model=header.model, software=header.software, kernel=header.kernel,
        field_strength_t=positive(header.field_strength_t), kvp=positive(header.kvp),
    )  # fmt: skip
    view_code = header.view_code if spec.view_from == "ViewPosition" else None
    return Source(
        # Without a patient id, what is known to be one person's is the study.
        path=path, patient=header.patient_id or f"study {study}", study=study, series=header.series_uid or path,
        uid=header.sop_uid, site=clean(header.extra.get(spec.site_from)),
        view=view_of(header.extra.get(spec.view_from), header.laterality, view_code),
        device=device_of(scanner, spec.device_from), scanner=scanner, sex=header.sex, age=header.age, day=header.day,
        label=header.extra.get(_label_keyword(spec)) or None,
        modality=_modality(header), overlays=header.overlays, padded=header.padded,
        natures=header.natures, slices=header.slices,
    )  # fmt: skip


def _modality(header: DicomHeader) -> str | None:
    """One of the standard's terms; other text of a header may be anything, also a name."""
    return header.modality if header.modality is None or header.modality in MODALITIES else "another value"


def _refusal(header: DicomHeader, spec: DicomSpec) -> tuple[str, str, str] | None:
    """(field, found, reason) where a readable header says that the file is not for this cohort."""
    if spec.modalities and (header.modality or "absent") not in spec.modalities:
        return "Modality", _modality(header) or "absent", "not one of cohort.modalities"
    for nature in spec.without:
        if nature in header.natures:
            return FIELDS[nature], nature.replace("_", " "), "left out by cohort.without"
    return None


def read_images(root: Path, source: Source, spec: CohortSpec) -> FileImages:
    """All frames of one file, or one volume, in the cohort's units. Raises :class:`Unreadable`."""
    assert isinstance(spec, DicomSpec)
    if source.stack is not None:
        return _volume(root, source.stack, spec)
    content = (root / source.path).read_bytes()
    planes = read_planes(content, spec.limits, spec.units, spec.window.mode == "header", source.slices)
    if source.mask is not None:
        mask = structures_of(root, source.path)
        planes = [replace(plane, mask=mask) for plane in planes]
    return finish(planes, spec, hashlib.sha256(content).hexdigest())


def _volume(root: Path, stack: Stack, spec: DicomSpec) -> FileImages:
    volume = read_volume(root, stack, spec.limits, spec.units, lambda: restart_clock(spec.limits))
    content = hashlib.sha256()
    for path in stack.paths:
        with (root / path).open("rb") as stream:
            content.update(hashlib.file_digest(stream, "sha256").digest())
    images = images_of(volume, spec, content.hexdigest())
    frame = stack.slices[0].facts.frame  # a file may hold the first slices of several volumes
    return replace(images, planes=tuple(replace(plane, frame=frame) for plane in images.planes))
