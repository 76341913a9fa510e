"""NIfTI cohorts: who and what a volume is of by its path and the files around it, and its images."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from synthassay.cohorts.masks import mask_path
from synthassay.cohorts.places import site_keyword
from synthassay.cohorts.planes import with_few_values
from synthassay.cohorts.sources import FileImages, Source
from synthassay.cohorts.specs import CohortSpec, NiftiSpec
from synthassay.cohorts.volumes import images_of
from synthassay.scans.descriptions import sidecar_findings
from synthassay.scans.devices import device_of, sidecar_device
from synthassay.scans.nifti.bids import BidsFolder, entity, suffix_in
from synthassay.scans.nifti.decathlon import DecathlonFolder
from synthassay.scans.nifti.identity import header_findings
from synthassay.scans.nifti.masks import read_mask
from synthassay.scans.nifti.volume import image_path, open_file, read_volume, suffix_of
from synthassay.scans.orientation import upright
from synthassay.scans.text import age_of, clean, date_of
from synthassay.scans.unreadable import Unreadable


def told(sources: Sequence[Source]) -> list[str]:
    """A sentence about the kinds of scans, where BIDS names say that there are several.

    A kind that only one patient has is not named: what it says may be about that patient.
    """
    patients: dict[str, set[str]] = {}
    kinds = [suffix_in(source.path) or "" for source in sources]
    for source, kind in zip(sources, kinds, strict=True):
        patients.setdefault(kind, set()).add(source.patient)
    counts = Counter(kind if len(patients[kind]) > 1 else "" for kind in kinds).most_common()
    named = [f"{kind or 'others'} ({count:,})" for kind, count in counts]
    if len(named) < 2:
        return []
    first = next(kind for kind, _ in counts if kind)
    return [f"The volumes are of several kinds by their names: {', '.join(named)}. "
            f"cohort.include=[*_{first}.nii.gz] reads one."]  # fmt: skip


class NiftiFolder:
    """The files of a cohort. ``paths`` are those found under the root: nothing else is opened."""

    def __init__(self, root: Path, paths: Iterable[str], spec: NiftiSpec) -> None:
        self._known = frozenset(paths)
        self._bids, self._decathlon = BidsFolder(root, self._known), DecathlonFolder(root, self._known)
        self._spec = spec

    def describe(self, path: str) -> tuple[Source, tuple[str, ...]]:
        """What path, sidecars and tables say about one volume, and the other files that belong to it.

        Raises :class:`Unreadable` for what is no scan, or lacks a mask that the settings need.
        """
        suffix = suffix_of(path)
        if not suffix:
            raise Unreadable("file", "not NIfTI by its name", "not a scan: not a NIfTI file")
        image = image_path(path)
        if image is not None and image not in self._known:
            raise Unreadable("file", "no image file", "the file with the voxels is not beside the header")
        subject, session = entity(path, "sub"), entity(path, "ses")
        case = self._decathlon.case(path, suffix)
        patient = subject or case or path
        mask = self._mask(path, suffix, subject or "", session or "")
        facts, row = self._bids.facts(path), {**self._bids.session_row(path), **self._bids.scan_row(path)}
        scanner, scanned, then = sidecar_device(facts), date_of(row.get("acq_time")), age_of(row.get("age"))
        modality = self._decathlon.modality(path, suffix, self._spec.volume.index) if case else None
        source = Source(
            path=path, patient=patient, study=f"{patient}/{session}" if session else patient, series=path, mask=mask,
            site=clean(facts.get(site_keyword(self._spec) or "")), view=clean(modality), age=then, age_then=then,
            device=device_of(scanner, self._spec.device_from), scanner=scanner,
            day=scanned.toordinal() if scanned else None, carried=sidecar_findings(facts),
        )  # fmt: skip
        belonging = [mask, image, *self._bids.sidecars(path), *self._bids.tables(path)]
        return source, tuple(extra for extra in belonging if extra)

    def _mask(self, path: str, suffix: str, subject: str, session: str) -> str | None:
        """Path of the mask. Raises :class:`Unreadable` where one is needed and is not there."""
        pattern, name = self._spec.label.mask, PurePosixPath(path).name.removesuffix(suffix)
        if not pattern:
            mask = self._decathlon.mask(path, suffix)
        else:
            mask = mask_path(pattern, path, name, subject, session)
        if mask in self._known:
            return mask
        if self._spec.needs_mask:
            raise Unreadable("mask", "absent", "no mask at the place that label.mask describes")
        return None


def read_images(root: Path, source: Source, spec: CohortSpec) -> FileImages:
    """The images of one volume, and the voxels of its mask in each. Raises :class:`Unreadable`."""
    nan = spec.not_a_number if isinstance(spec, NiftiSpec) else "refuse"
    file = open_file(root / source.path, spec.limits)
    volume = upright(read_volume(file, spec.limits, spec.volume.index, spec.volume.affine, nan))
    if source.mask is not None and (spec.needs_mask or spec.masks.keep):
        mask = open_file(root / source.mask, spec.limits)
        volume = replace(volume, mask=read_mask(mask, volume, spec.limits, spec.volume.affine, nan))
    images = with_few_values(images_of(volume, spec, file.sha256()), [volume.values])
    planes = tuple(replace(plane, filled=volume.filled, disputed=volume.disputed) for plane in images.planes)
    return replace(images, planes=planes, carried=images.carried | header_findings(file.content))
