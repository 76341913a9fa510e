"""From what a source says about the label to classes with numbers."""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from synthassay.cohorts.sources import Image, Source
from synthassay.cohorts.specs import CohortSpec, LabelSpec
from synthassay.errors import UserError
from synthassay.records import UNLABELLED, UNLABELLED_NAMES, Quarantined
from synthassay.scans.text import clean, table_value

MOST_CLASSES = 100
MANY_CLASSES = 10  # more of them than half the patients are ids rather than classes
MOST_SHOWN = 20
OTHER = "*"  # in label.values: every text that is not named and not empty


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a cohort: ``names`` in order, which of them is positive, and the source texts of each."""

    names: tuple[str, ...]
    positive: int
    values: tuple[tuple[str, ...], ...] = ()
    separator: str = ""

    def numbers(self, label: str | None) -> set[int]:
        """The classes that a label names; of a list of values, those of which one is named explicitly."""
        parts = set(parts_of(label, self.separator))
        named = {number for number, values in enumerate(self.values) if parts & set(values)}
        return named or {number for number, values in enumerate(self.values) if OTHER in values and parts != {""}}


def parts_of(label: str | None, separator: str) -> list[str]:
    """The values in a label: one, or with a separator those between; an empty label is one empty text."""
    text = table_value(label or "")
    return [table_value(part) for part in text.split(separator)] if separator else [text]


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
    classes = _classes(sources, label)
    kept, refused = [], []
    for source in sources:
        numbers = classes.numbers(source.label)
        if len(numbers) == 1:
            kept.append(source)
            continue
        found, reason = ("several classes", "the label names several classes of cohort.label.values")
        if not numbers:
            found, reason = ("another value", "the label is not one of cohort.label.values") if source.label else (
                "no label", "the scan has no label")  # fmt: skip
        refused.append(Quarantined(path=source.path, field=label.name, found=found, reason=reason))
    if not kept:
        raise UserError(_no_label([table_value(source.label or "") for source in sources], classes, spec))
    return classes, kept, refused


def _classes(sources: Sequence[Source], label: LabelSpec) -> Classes:
    listed = _listed(label)
    if not listed:
        texts = [part for source in sources for part in parts_of(source.label, label.separator)]
        listed = tuple((text,) for text in _distinct(texts, len({source.patient for source in sources})))
    names = label.names or tuple(clean(value[0]) or "class" for value in listed)
    return Classes(names, _positive(label, names), listed, label.separator)


def _listed(label: LabelSpec) -> tuple[tuple[str, ...], ...]:
    """What stands for each class that the settings name; empty where the classes are those found."""
    return tuple((value,) if isinstance(value, str) else value for value in label.values or label.names)


def class_of(label: LabelSpec) -> Callable[[str], Hashable]:
    """What labels of one class have in common: the class that the settings give them, else the text itself."""
    classes = Classes(label.names, 0, _listed(label), label.separator)
    return lambda text: frozenset(classes.numbers(text)) or text


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


def _no_label(texts: Sequence[str], classes: Classes, spec: CohortSpec) -> str:
    seen = sum(bool(text) for text in texts)
    if not seen:
        return (f"none of {len(texts):,} scans has a label (cohort.label.source={spec.label.source}).\n"
                "Name the table's label column in cohort.table.label, or set cohort.label.source=none.")  # fmt: skip
    values = [value for values in classes.values for value in values]
    return (f"none of {seen:,} labels is one of cohort.label.values {', '.join(map(repr, values))}.\n"
            "List the values as the source writes them, in the order of cohort.label.names.")  # fmt: skip


def labels_of(images: Sequence[Image], classes: Classes, spec: CohortSpec) -> list[int]:
    """The class of each image. Raises :class:`UserError` where all images have the same one."""
    if spec.label.source == "none":
        return [UNLABELLED] * len(images)
    if spec.label.source == "mask":
        labels = [int((image.plane.mask_pixels or 0) >= spec.label.mask_min_pixels) for image in images]
    else:
        labels = [min(classes.numbers(image.source.label)) for image in images]  # exactly one, by find_classes
    counts = Counter(labels)
    if len(counts) < 2:
        name = f"the label {classes.names[labels[0]]!r}" if _may_be_shown(classes.names) else "one label"
        raise UserError(f"all {len(labels):,} images have {name}; at least two classes are needed."
                        "\nCheck cohort.label and cohort.table.label, or set cohort.label.source=none to work without "
                        "labels.")  # fmt: skip
    return labels
