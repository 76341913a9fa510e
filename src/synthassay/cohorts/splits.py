"""Patient-disjoint splits: a seeded permutation within each stratum of site and device.

Works on source ids, so neither the permutation nor its result depends on the key of the pseudonyms.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from synthassay.cohorts.specs import IN_DOMAIN, SplitSpec
from synthassay.errors import UserError
from synthassay.seeding import numpy_generator

Stratum = tuple[str, str]  # site and device, "" where unknown; the device is "*" once strata of a site are pooled
POOLED: Stratum = ("*", "*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Who was scanned where: one entry for each image, in the order of the images; ``""`` where unknown."""

    patients: Sequence[str]
    sites: Sequence[str]
    devices: Sequence[str]


@dataclass(slots=True)
class SplitPlan:
    """The split of each patient, images that belong to none (rows), and sentences about what was done."""

    split_of: dict[str, str]
    left_out: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def allocate(count: int, shares: Sequence[float]) -> tuple[int, ...]:
    """``count`` things in the proportions of ``shares``, by largest remainder; ties go to the earlier share."""
    total = sum(shares)
    quotas = [round(count * share / total, 9) for share in shares]
    given = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda i: (given[i] - quotas[i], i))
    for i in by_remainder[: count - sum(given)]:
        given[i] += 1
    return tuple(given)


def fewest_patients(shares: Sequence[float]) -> int:
    """The smallest number of patients of which every split with a share gets one, as does any larger number."""
    positive = [share for share in shares if share]
    bound = len(positive) + int(1 / min(positive)) + 1
    short = [n for n in range(1, bound + 1) if min(allocate(n, positive)) == 0]
    return max(short, default=0) + 1


def strata_of(where: Whereabouts) -> dict[str, Stratum]:
    """The stratum of each patient: site and device of their first image."""
    strata: dict[str, Stratum] = {}
    for patient, site, device in zip(where.patients, where.sites, where.devices, strict=True):
        strata.setdefault(patient, (site, device))
    return strata


def assign_splits(where: Whereabouts, spec: SplitSpec, trained_on: Collection[str] | None = None) -> SplitPlan:
    """Give each patient one split.

    A patient with an image from an external site or device is external as a whole; their images from elsewhere are
    left out. ``trained_on`` are the source ids of the patients that an external generator has seen: these are
    generator-train, wherever they were scanned, and the others share the remaining splits. Raises :class:`UserError`
    for an unknown external site or device, where nobody is left, or where patients are too few for the shares.
    """
    trained = _trained_patients(where, trained_on)
    external = _external_patients(where, spec) - trained
    settled = external | trained
    strata = {patient: stratum for patient, stratum in strata_of(where).items() if patient not in settled}
    plan = SplitPlan(dict.fromkeys(external, "external") | dict.fromkeys(trained, "generator-train"))
    shares = spec.shares if trained_on is None else (0.0, *spec.shares[1:])
    if trained_on is not None:
        plan.notes.append(f"generator-train are the {len(trained)} patients of generator.trained_on that the cohort "
                          f"has, of {len(set(trained_on))} listed; the others are new to that generator.")  # fmt: skip
    plan.left_out = [
        row
        for row, patient in enumerate(where.patients)
        if patient in external and not _is_external(where.sites[row], where.devices[row], spec)
    ]
    members = _pooled(_members(strata), spec, shares, plan.notes)
    for stratum, patients in sorted(members.items()):
        order = numpy_generator("cohort split", spec.seed, *stratum).permutation(len(patients))
        start = 0
        for split, count in zip(IN_DOMAIN, allocate(len(patients), shares), strict=True):
            for index in order[start : start + count]:
                plan.split_of[patients[index]] = split
            start += count
    return plan


def _trained_patients(where: Whereabouts, trained_on: Collection[str] | None) -> set[str]:
    if trained_on is None:
        return set()
    found = set(where.patients) & set(trained_on)
    if not found:
        raise UserError(f"none of the {len(set(trained_on))} patients in generator.trained_on is in the cohort.\n"
                        "List ids as they stand in the source data (DICOM PatientID, BIDS sub-..., the table's patient "
                        "column).")  # fmt: skip
    return found


def _is_external(site: str, device: str, spec: SplitSpec) -> bool:
    return site in spec.external_sites or device in spec.external_devices


def _external_patients(where: Whereabouts, spec: SplitSpec) -> set[str]:
    for kind, wanted, found in (("sites", spec.external_sites, where.sites),
                                ("devices", spec.external_devices, where.devices)):  # fmt: skip
        unknown = [name for name in wanted if name not in found]
        if unknown:
            known = ", ".join(repr(name) for name in sorted(set(found))[:20] if name) or "none at all"
            raise UserError(
                f"cohort.split.external_{kind}: {unknown[0]!r} is not in the cohort.\nIts {kind} are: {known}."
            )
    rows = zip(where.patients, where.sites, where.devices, strict=True)
    external = {patient for patient, site, device in rows if _is_external(site, device, spec)}
    if external and len(external) == len(set(where.patients)):
        raise UserError("every patient is from an external site or device, so nobody is left to train on.\n"
                        "Name fewer of them in cohort.split.external_sites and external_devices.")  # fmt: skip
    return external


def _members(strata: dict[str, Stratum]) -> dict[Stratum, list[str]]:
    members: dict[Stratum, list[str]] = {}
    for patient, stratum in strata.items():  # in the order in which patients first appear
        members.setdefault(stratum, []).append(patient)
    return members


def _pooled(
    members: dict[Stratum, list[str]], spec: SplitSpec, shares: Sequence[float], notes: list[str]
) -> dict[Stratum, list[str]]:
    """Merge strata that are too small: within their site, then with each other, then into the smallest of the rest."""
    need = fewest_patients(shares)
    total = sum(len(patients) for patients in members.values())
    if total < need:
        raise UserError(_cohort_too_small(total, need))
    small = sorted(stratum for stratum, patients in members.items() if len(patients) < need)
    if small and spec.small_strata == "error":
        raise UserError(_site_too_small(small[0], len(members[small[0]]), need))
    members = _merge(members, small, lambda stratum: (stratum[0], "*"))
    still = sorted(stratum for stratum, patients in members.items() if len(patients) < need)
    members = _merge(members, still, lambda stratum: POOLED)
    if POOLED in members and len(members[POOLED]) < need:
        rest = [stratum for stratum in members if stratum != POOLED]
        target = min(rest, key=lambda stratum: (len(members[stratum]), stratum))
        members = _merge(members, [POOLED], lambda stratum: target)
    if small:
        more = [f"{len(small) - 5} more"] if len(small) > 5 else []
        names = "; ".join([*map(_named, small[:5]), *more])
        notes.append(f"{len(small)} of the strata of site and device have fewer than the {need} patients that all "
                     f"splits need and were pooled, so not every split has patients of each: {names}.")  # fmt: skip
    return members


def _merge(
    members: dict[Stratum, list[str]], which: Sequence[Stratum], into: Callable[[Stratum], Stratum]
) -> dict[Stratum, list[str]]:
    """Move the strata ``which`` into ``into(stratum)``."""
    merged = {stratum: list(patients) for stratum, patients in members.items() if stratum not in which}
    for stratum in which:
        merged.setdefault(into(stratum), []).extend(members[stratum])
    return merged


def _named(stratum: Stratum) -> str:
    return " / ".join(part or "unknown" for part in stratum)


def _site_too_small(stratum: Stratum, count: int, need: int) -> str:
    return (f"site {_named(stratum)!r} has {count} patients; the splits need at least {need} of each site and device.\n"
            "Pool small ones with cohort.split.small_strata=pool, hold the site out with cohort.split.external_sites, "
            "or give the share of cohort.split.validation to another split.")  # fmt: skip


def _cohort_too_small(count: int, need: int) -> str:
    return (f"{count} patients at seen sites are too few: the splits need at least {need}.\nSuch a cohort cannot say "
            "whether images are faithful, copied or useful for new patients.\nAdd patients, hold out fewer sites, or "
            "give the share of cohort.split.validation to another split.")  # fmt: skip


def choose_patients(where: Whereabouts, limit: int, seed: int) -> set[str]:
    """At most ``limit`` patients, drawn within each stratum in proportion to its size."""
    members = _members(strata_of(where))
    if sum(map(len, members.values())) <= limit:
        return set(where.patients)
    strata = sorted(members)
    chosen: set[str] = set()
    for stratum, count in zip(strata, allocate(limit, [len(members[s]) for s in strata]), strict=True):
        order = numpy_generator("cohort subset", seed, *stratum).permutation(len(members[stratum]))
        chosen.update(members[stratum][index] for index in order[:count])
    return chosen
