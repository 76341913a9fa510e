"""Where scans are from and what made them: sites from folders, and one name for the spelling variants of one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from synthassay.cohorts.sources import Source
from synthassay.cohorts.specs import CohortSpec
from synthassay.errors import UserError
from synthassay.records import CohortTable
from synthassay.scans.text import clean
from synthassay.scans.vendors import manufacturer, one_spelling, spelling_key

FOLDER = "folder:"
Merges = dict[tuple[str, str, str], list[Source]]  # (what, from, to) and the files


def site_keyword(spec: CohortSpec) -> str | None:
    """The header field or sidecar key that names the site; None where a folder or nothing does."""
    return None if spec.site_from == "none" or spec.site_from.startswith(FOLDER) else spec.site_from


def site_folder(path: str, spec: CohortSpec) -> str | None:
    """The site that a path names, with ``site_from=folder:N``: the N-th folder below the root."""
    number = spec.site_from.removeprefix(FOLDER)
    folders = PurePosixPath(path).parts[:-1]
    if number == spec.site_from or int(number) > len(folders):
        return None
    return clean(folders[int(number) - 1])


def check_site_folders(sources: Sequence[Source], spec: CohortSpec) -> None:
    """Raises :class:`UserError` where folders that are to be sites hold one patient each: they are called after it."""
    if not spec.site_from.startswith(FOLDER):
        return
    patients: dict[str, set[str]] = {}
    for source in sources:
        if folder := site_folder(source.path, spec):
            patients.setdefault(folder, set()).add(source.patient)
    if len(patients) > 1 and all(len(whose) == 1 for whose in patients.values()):
        raise UserError(f"cohort.site_from={spec.site_from}: each of {len(patients):,} folders holds one patient, so "
                        "their names may be patients' names, and would be kept as sites.\n"
                        "Name the folder level that holds the patients of one site, or set it to none.")  # fmt: skip


def harmonise(sources: Sequence[Source], spec: CohortSpec) -> tuple[list[Source], CohortTable | None, list[str]]:
    """Sources with one spelling for each site (also of a folder) and device; what was merged; sentences about it."""
    asked = dict(spec.merge_sites)
    sources = [replace(source, site=source.site or site_folder(source.path, spec)) for source in sources]
    sites = one_spelling([source.site for source in sources if source.site], asked)
    devices = one_spelling([source.device for source in sources if source.device])
    merges: Merges = {}
    for source in sources:
        written = source.scanner.manufacturer
        for what, start, end in (("manufacturer", written, manufacturer(written)),
                                 ("site", source.site, sites.get(source.site or "")),
                                 ("device", source.device, devices.get(source.device or ""))):  # fmt: skip
            if start and end and start != end:
                merges.setdefault((what, start, end), []).append(source)
    known = {spelling_key(name) for name in sites}
    unused = [start for start, _ in spec.merge_sites if spelling_key(start) not in known]
    notes = [f"cohort.merge_sites names {len(unused)} sites that no scan has."] if unused else []
    placed = [replace(source, site=sites.get(source.site or ""), device=devices.get(source.device or ""))
              for source in sources]  # fmt: skip
    return placed, _table(merges), notes


def _table(merges: Merges) -> CohortTable | None:
    if not merges:
        return None
    keys = sorted(merges)
    patients = [len({source.patient for source in merges[key]}) for key in keys]
    return CohortTable(
        title="Names that were merged", columns=("Written as", "Counts as", "What", "Files", "Patients"),
        rows=tuple((start, end, what, f"{len(merges[what, start, end]):,}", f"{count:,}")
                   for (what, start, end), count in zip(keys, patients, strict=True)),
        patients=tuple(patients),
        note="Manufacturers by a list of how they write themselves, with their brands (Toshiba and Canon stay two); "
             "sites and devices where they differ in case, blanks or punctuation only, and sites by "
             "cohort.merge_sites.",
    )  # fmt: skip
