"""One attribute of a dataset as a plain value; what is missing or damaged is None."""

import math
from functools import cache
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.tag import BaseTag, Tag

Keyword = str | int


def value_of(dataset: Any, keyword: Keyword) -> Any:
    """An attribute's value by keyword, or by tag for private ones."""
    tag, present = tag_of(keyword), dataset.keys()  # the dataset itself takes long to say whether it has a tag
    if tag is None or tag not in present:  # asked first: most are absent, and to fail costs more
        return None
    try:
        return dataset[tag].value
    except Exception:  # an attribute whose bytes are no value of its kind says nothing
        return None


@cache
def tag_of(keyword: Keyword) -> BaseTag | None:
    """The tag of a keyword or number, None of unknown ones; made once, which pydicom does each time."""
    number = tag_for_keyword(keyword) if isinstance(keyword, str) else keyword
    return None if number is None else Tag(number)


def private_of(dataset: Any, creator: str, group: int, element: int) -> Any:
    """A private attribute's value by the two hexadecimal digits of its ``element`` (PS3.5, 7.8.1); None without it.

    Other makers use the same tags for something else, and the same maker other blocks of the group.
    """
    for reserved in sorted(dataset.keys() & _creators(group)):
        if text_of(dataset, reserved) == creator:
            return value_of(dataset, group << 16 | (reserved & 0xFF) << 8 | element)
    return None


def private_number_of(dataset: Any, creator: str, group: int, element: int) -> float | None:
    """The first value of a private attribute, where it is a finite number."""
    try:
        number = float(next(iter(listed(private_of(dataset, creator, group, element))), math.nan))
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


@cache
def _creators(group: int) -> frozenset[int]:
    """The tags of a group that reserve its blocks."""
    return frozenset(group << 16 | block for block in range(0x10, 0x100))


def text_of(dataset: Any, keyword: Keyword) -> str:
    """Text with single blanks, whole; ``""``."""
    value = value_of(dataset, keyword)
    return "" if value is None else " ".join(str(value).split())


def listed(value: Any) -> list[Any]:
    """The values of an attribute that may have none, one or several."""
    if value is None or (isinstance(value, str | bytes) and not value):
        return []
    return [value] if isinstance(value, str | bytes) or not hasattr(value, "__iter__") else list(value)


def numbers_of(dataset: Any, keyword: Keyword, count: int) -> tuple[float, ...] | None:
    """So many finite numbers, or None."""
    try:
        values = tuple(float(value) for value in listed(value_of(dataset, keyword)))
    except (TypeError, ValueError, OverflowError):
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def number_of(dataset: Any, keyword: Keyword) -> float | None:
    """The one finite number, or None."""
    values = numbers_of(dataset, keyword, 1)
    return values[0] if values else None


def whole_of(dataset: Any, keyword: Keyword) -> int | None:
    """The one finite number without its fraction, or None."""
    value = number_of(dataset, keyword)
    return None if value is None else int(value)
