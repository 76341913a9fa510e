"""What is in a folder: which files are scans of the cohort, and what is known about each before its pixels are read."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom.datadict import dictionary_VR, tag_for_keyword

from synthassay.cohorts import array_files, nifti, photographs
from synthassay.cohorts.carried import Carried
from synthassay.cohorts.copies import without_copies
from synthassay.cohorts.dicom_series import (
    SourceStack,
    series_table,
    stacks_of,
    told,
    told_of_files,
    volumes_of,
    without_localisers,
)
from synthassay.cohorts.facts import keep, with_path_facts
from synthassay.cohorts.files import ROOT, selected
from synthassay.cohorts.joins import join, joins_table
from synthassay.cohorts.labels import Classes, class_of, find_classes
from synthassay.cohorts.phantom.truth import structures_beside
from synthassay.cohorts.places import check_site_folders, harmonise, site_keyword
from synthassay.cohorts.reading import read_headers
from synthassay.cohorts.sources import Source
from synthassay.cohorts.specs import CohortSpec, DicomSpec, ImagesSpec, NiftiSpec
from synthassay.cohorts.splits import Whereabouts, choose_patients
from synthassay.cohorts.tables import read_table, table_paths
from synthassay.errors import UserError
from synthassay.records import CohortTable, Progress, Quarantined
from synthassay.scans import arrays
from synthassay.scans.discovery import CLOSED, discover
from synthassay.scans.findings import Finding, in_path
from synthassay.scans.nifti.volume import header_path
from synthassay.scans.unreadable import Unreadable
from synthassay.specs import Resources

PATIENT = 0x0010  # the group of what is about the patient; of its fields, these are shared by many
SHARED = frozenset({
    "PatientSex", "PatientSexNeutered", "PatientSize", "PatientWeight", "EthnicGroup", "EthnicGroups", "SmokingStatus",
    "PregnancyStatus", "PatientSpeciesDescription", "PatientBreedDescription",
})  # fmt: skip
# Besides fields of names, UIDs, dates and long texts, which their value representation tells.
IDENTIFYING = frozenset({
    "AccessionNumber", "StudyID", "AdmissionID", "ServiceEpisodeID", "RequestedProcedureID", "PerformedProcedureStepID",
    "ScheduledProcedureStepID", "FillerOrderNumberImagingServiceRequest", "PlacerOrderNumberImagingServiceRequest",
    "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID",
})  # fmt: skip
IDENTIFYING_VRS = frozenset({"PN", "UI", "DA", "DT", "TM", "LT", "UT"})


@dataclass(slots=True)
class Survey:
    """The scans of a cohort in the order of their paths, and everything that is not one."""

    sources: list[Source]
    refused: list[Quarantined] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: list[CohortTable] = field(default_factory=list)
    carried: dict[str, Carried] = field(default_factory=dict)  # about people, by path, of all files
    stacks: list[SourceStack] = field(default_factory=list)  # of DICOM series
    files: list[Source] = field(default_factory=list)  # of these stacks, also where volumes took the place of files


def survey(spec: CohortSpec, root: Path, resources: Resources, progress: Progress) -> tuple[Survey, Classes]:
    """Find the scans, ask their paths, join the tables, keep those with a label.

    Raises :class:`UserError` where none is left.
    """
    paths, refused = discover(root, ROOT)
    if not paths and not refused:
        raise UserError(f"{root} holds no files.\nGive the folder that holds the scans with cohort.root=DIR.")
    found = _files(spec, root, paths, resources, progress)
    found.refused += refused
    _note_closed_folders(found)
    if not found.sources:
        raise UserError(nothing_left(f"no readable scan among {len(paths):,} files of {root}", found.refused, spec))
    if spec.kind == "dicom":
        _sort_series(found, spec)
    found.sources, unmatched = with_path_facts(found.sources, spec)
    _join_tables(found, spec, root)
    found.sources, unwanted = keep(found.sources, spec)
    found.refused += [*unmatched, *unwanted]
    _harmonise(found, spec)
    _check_masks(found, spec)
    found.notes += array_files.note_parts(found.sources) if spec.kind != "nifti" else nifti.told(found.sources)
    _note_patients(found, spec)
    _tell_series(found, spec)
    classes, found.sources, unlabelled = find_classes(found.sources, spec)
    found.refused += unlabelled
    _limit_patients(found, spec)
    return found, classes


def nothing_left(what: str, refused: Sequence[Quarantined], spec: CohortSpec) -> str:
    """A message that says that no scan is left and the most frequent reasons why."""
    counts = Counter(row.reason for row in refused).most_common(3)
    reasons = "; ".join(f"{reason} ({count:,})" for reason, count in counts)
    remedy = f"Check cohort.root, cohort.include and the kind of cohort ({spec.kind})."
    return f"{what}.\nReasons: {reasons or 'none'}.\n{remedy}"


def _files(spec: CohortSpec, root: Path, paths: Sequence[str], resources: Resources, progress: Progress) -> Survey:
    found = Survey([])
    tables = [table for part in spec.tables.values() for table in table_paths(part, root)]
    used = {table.relative_to(root).as_posix() for table in tables if table.is_relative_to(root)}
    wanted, known = [], frozenset(paths)
    for path in paths:
        if path in used:
            continue
        if selected(path, spec):
            wanted.append(path)
        else:
            found.refused.append(_left_out(path, known, spec))
    _check_keywords(spec)
    if isinstance(spec, DicomSpec):
        found.sources, refused, found.carried = read_headers(root, wanted, spec, resources, progress)
        found.sources, copies = without_copies(found.sources, root, spec, resources, progress)
        found.refused += [*refused, *copies]
        if spec.masks.keep:  # then the files are the phantom's
            mask = structures_beside(root)
            found.sources = [replace(source, mask=mask) for source in found.sources]
        return found
    if isinstance(spec, ImagesSpec):
        wanted = _take_arrays(spec, root, wanted, found, resources, progress)
    extras = _describe(spec, root, wanted, paths, found)
    found.sources.sort(key=lambda source: source.path)
    found.refused = [row for row in found.refused if row.path not in extras]
    return found


def _left_out(path: str, known: Collection[str], spec: CohortSpec) -> Quarantined:
    """The row of a file that is not selected, which may be half of a scan that would have been."""
    header = header_path(path) if isinstance(spec, NiftiSpec) else None
    if header is not None and header not in known and selected(header, spec):
        reason = "the header (.hdr) is not beside the file with the voxels"
        return Quarantined(path=path, field="file", found="no header", reason=reason)
    reason = "not a scan: left out by cohort.include or cohort.exclude"
    return Quarantined(path=path, field="file", found="not selected", reason=reason)


def _take_arrays(spec: ImagesSpec, root: Path, wanted: Sequence[str], found: Survey, resources: Resources,
                 progress: Progress) -> list[str]:  # fmt: skip
    """Sources for the array files among ``wanted``; returns the other paths."""
    files = [path for path in wanted if path.lower().endswith(arrays.SUFFIXES)]
    if files:
        found.sources, refused, _ = read_headers(root, files, spec, resources, progress)
        found.refused += refused
        found.carried |= {path: Carried(in_path(path), None, path) for path in files}  # of many, as tables are
    return [path for path in wanted if not path.lower().endswith(arrays.SUFFIXES)]


def _describe(spec: CohortSpec, root: Path, wanted: Sequence[str], paths: Sequence[str], found: Survey) -> set[str]:
    """Sources for volumes or pictures; returns the files that belong to them, such as masks and sidecars."""
    folder = nifti.NiftiFolder(root, paths, spec) if isinstance(spec, NiftiSpec) else None
    known = frozenset(paths)
    extras: set[str] = set()
    masks: set[str | None] = set()
    for path in wanted:
        try:
            source, belonging = photographs.describe(path, spec, known) if folder is None else folder.describe(path)
        except Unreadable as error:
            found.refused.append(error.row(path))
            continue
        found.sources.append(source)
        found.carried[path] = Carried(source.carried | in_path(path), source.patient, source.series)
        extras.update(belonging)
        masks.add(source.mask)
    found.sources = [source for source in found.sources if source.path not in masks]
    return extras


def _sort_series(found: Survey, spec: CohortSpec) -> None:
    """Sort the slices; leave localisers out; with ``dimensions=3`` put volumes in the place of files."""
    found.files, found.stacks = found.sources, stacks_of(found.sources)
    if spec.dimensions == 2:
        found.sources, refused = without_localisers(found.sources)
    else:
        index = spec.volume.index
        found.sources, refused = volumes_of(found.stacks, index if isinstance(index, int) else None)
    found.refused += refused
    if not found.sources:
        raise UserError(nothing_left(f"none of {len(found.stacks):,} series can be used", found.refused, spec))


def _tell_series(found: Survey, spec: CohortSpec) -> None:
    """The table of series and what a reader should know, with patients as the cohort's table names them."""
    if not found.stacks:
        return
    named = {source.path: source for source in found.sources}
    found.stacks = [replace(one, source=named.get(one.source.path, one.source)) for one in found.stacks]
    found.tables.append(series_table(found.stacks))
    used = {path for source in found.sources for path in source.parts}
    found.notes += told_of_files([source for source in found.files if source.path in used], spec)
    found.notes += told(found.stacks, spec.dimensions == 3 and spec.volume.oblique == "resample")


def _check_keywords(spec: CohortSpec) -> None:
    asked = {"site_from": site_keyword(spec) or "", "label.source": spec.label.source.partition("header:")[2],
             "view_from": spec.view_from if isinstance(spec, DicomSpec) else ""}  # fmt: skip
    for setting, keyword in asked.items():
        if keyword in ("", "none"):
            continue
        tag = tag_for_keyword(keyword)
        if tag is None:
            if spec.kind == "nifti":  # sidecars have keys that DICOM does not know
                continue
            raise UserError(f"cohort.{setting}: {keyword!r} is not a DICOM keyword.\n"
                            "Write it as the standard does, for example InstitutionName.")  # fmt: skip
        of_patient = tag >> 16 == PATIENT and keyword not in SHARED
        if of_patient or keyword in IDENTIFYING or dictionary_VR(tag) in IDENTIFYING_VRS:
            raise UserError(f"cohort.{setting}: {keyword} names a person, an examination or a time, or is free text, "
                            "and its values would be kept as they are.\nName a field that many patients share, for "
                            "example InstitutionName, or a column of the table.")  # fmt: skip


def _join_tables(found: Survey, spec: CohortSpec, root: Path) -> None:
    counts = []
    for name, table in spec.tables.items():
        labelled = spec.label.source == "table" and table.label is not None
        carried: set[Finding] = set()
        rows = read_table(table, root, labelled, spec.limits, name, carried)
        found.carried[f"cohort.{name}"] = Carried(frozenset(carried), None, None)
        # A first table that names the files of a cohort says which files belong to it; others only add facts.
        needed = labelled or (name == "table" and table.join_on == "file")
        joined = join(found.sources, rows, table, needed, name=name, separator=spec.label.separator,
                      recode=spec.recode, class_of=class_of(spec.label))  # fmt: skip
        found.sources = joined.sources
        found.refused += joined.refused
        found.notes += joined.notes
        counts.append(joined.counts)
    if counts:
        found.tables.append(joins_table(counts))


def _harmonise(found: Survey, spec: CohortSpec) -> None:
    check_site_folders(found.sources, spec)
    found.sources, merged, notes = harmonise(found.sources, spec)
    found.tables += [merged] if merged else []
    found.notes += notes
    for source in found.sources:  # whose it is may be known from the table only
        if source.path in found.carried:
            found.carried[source.path] = replace(found.carried[source.path], patient=source.patient)


def _check_masks(found: Survey, spec: CohortSpec) -> None:
    """Masks that are asked for must exist for some scan; the others' are unknown."""
    if not spec.masks.keep or not found.sources:
        return
    without = sum(source.mask is None for source in found.sources)
    if without == len(found.sources):
        raise UserError(f"cohort.masks.keep=true, but none of {without:,} scans has a mask.\nSay in cohort.label.mask "
                        "where the mask of a scan lies, or set cohort.masks.keep=false.")  # fmt: skip
    if without:
        found.notes.append(f"{without:,} of {len(found.sources):,} scans have no mask: theirs counts as unknown.")


def _note_closed_folders(found: Survey) -> None:
    closed = sum(row.reason == CLOSED for row in found.refused)
    if closed:
        found.notes.append(f"{closed:,} folders or files could not be looked at, and how many scans they hold is not "
                            "known: the cohort may lack a part of its patients.")  # fmt: skip


def _note_patients(found: Survey, spec: CohortSpec) -> None:
    """Say where a patient id is missing; apply ``patient_is=image``."""
    if spec.patient_is == "image":
        found.sources = [replace(source, patient=source.path) for source in found.sources]
        return
    alone = sum(source.patient == source.path for source in found.sources)
    if alone:
        found.notes.append(f"{alone:,} files have no patient id and count as a patient each: a patient with several "
                           "may be in more than one split.")  # fmt: skip
    by_study = sum(source.patient == f"study {source.study}" for source in found.sources)
    if by_study:
        found.notes.append(f"{by_study:,} files have no Patient ID; each of their studies counts as a patient.")


def _limit_patients(found: Survey, spec: CohortSpec) -> None:
    if spec.max_patients is None:
        return
    chosen = choose_patients(whereabouts(found.sources), spec.max_patients, spec.split.seed)
    left_out = [source for source in found.sources if source.patient not in chosen]
    if not left_out:
        return
    everybody = len({source.patient for source in found.sources})
    found.sources = [source for source in found.sources if source.patient in chosen]
    found.refused += [Quarantined(path=source.path, field="patient", found="not drawn",
                                  reason="left out by cohort.max_patients") for source in left_out]  # fmt: skip
    found.notes.append(f"cohort.max_patients keeps {len(chosen):,} of {everybody:,} patients, drawn within each "
                       "stratum of site and device.")  # fmt: skip


def whereabouts(sources: Sequence[Source]) -> Whereabouts:
    """Patient, site and device of each source."""
    return Whereabouts(
        patients=[source.patient for source in sources],
        sites=[source.site or "" for source in sources],
        devices=[source.device or "" for source in sources],
    )
