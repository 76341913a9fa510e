"""DICOM files as scans of a cohort: whose, from where, which slice."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from synthassay.cohorts.planes import finish
from synthassay.cohorts.sources import FileImages, Source
from synthassay.cohorts.specs import CohortSpec, DicomSpec
from synthassay.cohorts.volumes import images_of
from synthassay.scans.dicom.header import DicomHeader, read_header
from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.dicom.series import Stack
from synthassay.scans.dicom.volumes import read_volume
from synthassay.scans.text import clean, device_name
from synthassay.scans.unreadable import Unreadable


def read_source(root: Path, path: str, spec: DicomSpec) -> Source:
    """What the header of one file says. Raises :class:`Unreadable` for anything that is not an image to read."""
    header = read_header(root / path, spec.limits, _asked(spec))
    refusal = _refusal(header, spec)
    if refusal:
        raise Unreadable(*refusal)
    return _source(header, path, spec)


def _asked(spec: DicomSpec) -> list[str]:
    return [
        keyword for keyword in (spec.site_from, spec.view_from, _label_keyword(spec)) if keyword not in ("", "none")
    ]


def _label_keyword(spec: DicomSpec) -> str:
    return spec.label.source.partition("header:")[2]


def _source(header: DicomHeader, path: str, spec: DicomSpec) -> Source:
    study = header.study_uid or header.series_uid or path
    return Source(
        # Without a patient id, what is known to be one person's is the study.
        path=path, patient=header.patient_id or f"study {study}", study=study, series=header.series_uid or path,
        uid=header.sop_uid, site=clean(header.extra.get(spec.site_from)), view=clean(header.extra.get(spec.view_from)),
        device=device_name(header.manufacturer, header.model), sex=header.sex, age=header.age, day=header.day,
        label=header.extra.get(_label_keyword(spec)) or None,
        modality=header.modality, overlays=header.overlays, slices=header.slices,
    )  # fmt: skip


def _refusal(header: DicomHeader, spec: DicomSpec) -> tuple[str, str, str] | None:
    """(field, found, reason) where a readable header says that the file is not for this cohort."""
    modality = header.modality or "absent"
    if spec.modalities and modality not in spec.modalities:
        shown = modality if re.fullmatch("[A-Z]{2,4}|absent", modality) else "another value"
        return "Modality", shown, "not one of cohort.modalities"
    return None


def read_images(root: Path, source: Source, spec: CohortSpec) -> FileImages:
    """All frames of one file, or one volume, in the cohort's units. Raises :class:`Unreadable`."""
    assert isinstance(spec, DicomSpec)
    if source.stack is not None:
        return _volume(root, source.stack, spec)
    content = (root / source.path).read_bytes()
    planes = read_planes(content, spec.limits, spec.units, header_window=spec.window.mode == "header")
    return finish(planes, spec, hashlib.sha256(content).hexdigest())


def _volume(root: Path, stack: Stack, spec: DicomSpec) -> FileImages:
    volume = read_volume(root, stack, spec.limits, spec.units)
    content = hashlib.sha256()
    for path in stack.paths:
        with (root / path).open("rb") as stream:
            content.update(hashlib.file_digest(stream, "sha256").digest())
    images = images_of(volume, spec, content.hexdigest())
    frame = stack.slices[0].facts.frame  # a file may hold the first slices of several volumes
    return replace(images, planes=tuple(replace(plane, frame=frame) for plane in images.planes))
