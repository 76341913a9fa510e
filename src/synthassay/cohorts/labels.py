"""From what a source says about the label to classes with numbers."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from synthassay.cohorts.sources import Image, Source
from synthassay.cohorts.specs import CohortSpec, LabelSpec
from synthassay.errors import UserError
from synthassay.records import UNLABELLED, Quarantined
from synthassay.scans.text import clean, table_value

MOST_CLASSES = 100
MANY_CLASSES = 10  # more of them than half the patients are ids rather than classes
MOST_SHOWN = 20
UNLABELLED_NAMES = ("unlabelled",)


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a cohort: ``names`` in order, which of them is positive, and the source text of each."""

    names: tuple[str, ...]
    positive: int
    values: tuple[str, ...] = ()


def find_classes(sources: Sequence[Source], spec: CohortSpec) -> tuple[Classes, list[Source], list[Quarantined]]:
    """The classes, the scans that can have a label, and those that cannot.

    Raises :class:`UserError` where no scan has a label, or where the label looks like an id.
    """
    label = spec.label
    if label.source == "none":
        return Classes(UNLABELLED_NAMES, 0), list(sources), []
    if label.source == "mask":
        names = label.names or (f"no {label.name}", label.name)
        return Classes(names, _positive(label, names)), list(sources), []
    texts = [table_value(source.label or "") for source in sources]
    values = label.values or label.names or _distinct(texts, len({source.patient for source in sources}))
    names = label.names or tuple(clean(value) or "class" for value in values)
    kept, refused = [], []
    for source, text in zip(sources, texts, strict=True):
        if text in values:
            kept.append(source)
            continue
        found, reason = ("no label", "the scan has no label") if not text else (
            "another value", "the label is not one of cohort.label.values")  # fmt: skip
        refused.append(Quarantined(path=source.path, field=label.name, found=found, reason=reason))
    if not kept:
        raise UserError(_no_label(texts, values, spec))
    return Classes(names, _positive(label, names), values), kept, refused


def _distinct(texts: Sequence[str], patients: int) -> tuple[str, ...]:
    found = {text for text in texts if text}
    if len(found) > MOST_CLASSES:
        raise UserError(f"the label column has {len(found):,} different values; a label has at most {MOST_CLASSES}.\n"
                        "Name the column of the class in cohort.table.label, or list the classes in "
                        "cohort.label.names.")  # fmt: skip
    if len(found) > MANY_CLASSES and len(found) > patients / 2:
        raise UserError(f"the label has {len(found):,} different values among {patients:,} patients, as an id or a "
                        "date would.\nName what holds the class in cohort.table.label or cohort.label.source, or list "
                        "the classes in cohort.label.names.")  # fmt: skip
    numeric = all(text.lstrip("-").replace(".", "", 1).isdigit() for text in found)
    return tuple(sorted(found, key=lambda text: (float(text) if numeric else 0.0, text)))


def _positive(label: LabelSpec, names: tuple[str, ...]) -> int:
    if not label.positive:
        return len(names) - 1
    if label.positive not in names:
        shown = ", ".join(names) if _may_be_shown(names) else f"{len(names)} values found"
        raise UserError(f"cohort.label.positive={label.positive} is not one of the classes {shown}.")
    return names.index(label.positive)


def _may_be_shown(names: Sequence[str]) -> bool:
    """Whether names of classes may stand in a message: a column named by mistake may hold ids or dates."""
    return len(names) <= MOST_SHOWN and not any(re.search(r"\d{4}", name) for name in names)


def _no_label(texts: Sequence[str], values: Sequence[str], spec: CohortSpec) -> str:
    seen = sum(bool(text) for text in texts)
    if not seen:
        return (f"none of {len(texts):,} scans has a label (cohort.label.source={spec.label.source}).\n"
                "Name the table's label column in cohort.table.label, or set cohort.label.source=none.")  # fmt: skip
    return (f"none of {seen:,} labels is one of cohort.label.values {', '.join(map(repr, values))}.\n"
            "List the values as the source writes them, in the order of cohort.label.names.")  # fmt: skip


def labels_of(images: Sequence[Image], classes: Classes, spec: CohortSpec) -> list[int]:
    """The class of each image. Raises :class:`UserError` where all images have the same one."""
    if spec.label.source == "none":
        return [UNLABELLED] * len(images)
    if spec.label.source == "mask":
        labels = [int((image.plane.mask_pixels or 0) >= spec.label.mask_min_pixels) for image in images]
    else:
        index = {value: number for number, value in enumerate(classes.values)}
        labels = [index[table_value(image.source.label or "")] for image in images]
    counts = Counter(labels)
    if len(counts) < 2:
        name = f"the label {classes.names[labels[0]]!r}" if _may_be_shown(classes.names) else "one label"
        raise UserError(f"all {len(labels):,} images have {name}; at least two classes are needed."
                        "\nCheck cohort.label and cohort.table.label, or set cohort.label.source=none to work without "
                        "labels.")  # fmt: skip
    return labels
