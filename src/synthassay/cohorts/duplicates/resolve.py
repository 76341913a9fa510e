"""What is done about images that stand under two patients: patients merged, images dropped, a leaking split stopped."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from synthassay.cohorts.duplicates.pairs import Double
from synthassay.cohorts.sources import Image
from synthassay.cohorts.specs import DuplicateSpec
from synthassay.errors import UserError
from synthassay.records import Quarantined

KINDS = {"exact": "equal pixel by pixel", "near": "nearly equal"}


def resolve(
    images: Sequence[Image], pairs: Sequence[Double], spec: DuplicateSpec, trained_on: Collection[str] | None
) -> tuple[list[Image], set[int]]:
    """``images``, in their order, with patients merged, and the rows of those that are to be dropped."""
    dropped = {pair.second for pair in pairs if getattr(spec, pair.kind) == "drop"}
    to_merge = [pair for pair in pairs if getattr(spec, pair.kind) == "merge"]
    return (_merged(images, to_merge, trained_on) if to_merge else list(images)), dropped


def _merged(images: Sequence[Image], pairs: Sequence[Double], trained_on: Collection[str] | None) -> list[Image]:
    """``images`` where patients that share one of ``pairs`` are one patient, called after the first of them.

    One whom an external generator has seen goes first, so that all images of the merged patient are generator-train.
    """
    names = list(dict.fromkeys(image.source.patient for image in images))
    row_of = {name: row for row, name in enumerate(names)}
    links = [(row_of[images[p.first].source.patient], row_of[images[p.second].source.patient]) for p in pairs]
    first, second = ([link[side] for link in links] for side in (0, 1))
    graph = coo_array(([1] * len(links), (first, second)), shape=(len(names), len(names)))
    component = connected_components(graph, directed=False)[1].tolist()
    seen = frozenset(trained_on or ())
    called: dict[int, str] = {}
    for name, number in sorted(zip(names, component, strict=True), key=lambda entry: entry[0] not in seen):
        called.setdefault(number, name)
    name_of = {name: called[number] for name, number in zip(names, component, strict=True)}
    return [_renamed(image, name_of[image.source.patient]) for image in images]


def _renamed(image: Image, patient: str) -> Image:
    own = image.source.patient
    return image if patient == own else replace(image, source=replace(image.source, patient=patient, merged_from=own))


def refused_files(images: Sequence[Image], dropped: Collection[int]) -> list[Quarantined]:
    """Rows of the quarantine table for files of which every image was dropped."""
    left = {image.source.path for row, image in enumerate(images) if row not in dropped}
    paths = {images[row].source.path for row in dropped} - left
    reason = "another patient's image is the same (cohort.duplicates)"
    return [Quarantined(path=path, field="pixels", found="a double", reason=reason) for path in sorted(paths)]


def refuse_leaks(pairs: Sequence[Double], splits: Mapping[int, str], spec: DuplicateSpec) -> None:
    """Raises :class:`UserError` where a pair that must not stands in two splits. ``splits``: by row."""
    for kind in KINDS:
        places = Counter(" and ".join(splits_of(p, splits)) for p in pairs if p.kind == kind and leaks(p, splits))
        if places and getattr(spec, kind) == "error":
            raise UserError(_leak(kind, places))


def splits_of(pair: Double, splits: Mapping[int, str]) -> list[str]:
    """The one or two splits of a pair, sorted; empty where an image of it is in none."""
    found = [splits.get(row) for row in (pair.first, pair.second)]
    return sorted({split for split in found if split}) if all(found) else []


def leaks(pair: Double, splits: Mapping[int, str]) -> bool:
    """Whether the two images stand in two splits."""
    return len(splits_of(pair, splits)) == 2


def _leak(kind: str, leaking: Mapping[str, int]) -> str:
    total = sum(leaking.values())
    where = "; ".join(f"{place} ({count:,})" for place, count in sorted(leaking.items(), key=lambda e: -e[1])[:3])
    more = f"; {len(leaking) - 3} more" if len(leaking) > 3 else ""
    return (f"{total:,} pairs of images are {KINDS[kind]} but stand under two patients, in two splits: {where}{more}."
            "\nWhat was trained on one would be tested on the other. The pairs are listed in the keyring.\n"
            f"Correct the patients' ids, count such patients as one (cohort.duplicates.{kind}=merge), or keep the "
            f"first image only (cohort.duplicates.{kind}=drop).")  # fmt: skip
