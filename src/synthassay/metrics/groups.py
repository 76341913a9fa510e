"""Groups of images (label, site, device, ...) and subsets of equal size by whole patients."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthassay.metrics.intervals import unit_codes
from synthassay.metrics.specs import LABEL_COLUMN
from synthassay.records import MISSING, FeatureSet


@dataclass(frozen=True, slots=True)
class Group:
    """Images whose ``column`` has ``value``; both empty for all images."""

    column: str = ""
    value: str = ""

    @property
    def text(self) -> str:
        """``"all"`` or ``"column=value"``, as in a result."""
        return f"{self.column}={self.value}" if self.column else "all"


ALL = Group()


def column_of(features: FeatureSet, column: str) -> NDArray[np.str_] | None:
    """``[n]`` values of a column, ``""`` where missing; None if the set does not carry it."""
    if column == LABEL_COLUMN:
        names = np.array([*features.label_names, MISSING], dtype=np.str_)
        labelled = (features.labels >= 0) & (features.labels < len(features.label_names))
        values = names[np.where(labelled, features.labels, -1)]
    elif column in features.groups:
        values = np.asarray(features.groups[column], dtype=np.str_)
    else:
        return None
    return values if bool((values != MISSING).any()) else None


def groups_of(references: Iterable[FeatureSet], columns: Iterable[str]) -> list[Group]:
    """All values that any reference has in ``columns``, in the order of the columns and then of the text."""
    sets = list(references)
    found: list[Group] = []
    for column in columns:
        values: set[str] = set()
        for features in sets:
            cells = column_of(features, column)
            values |= set() if cells is None else set(cells.tolist())
        found += [Group(column, value) for value in sorted(values - {MISSING})]
    return found


def rows_in(features: FeatureSet, group: Group) -> NDArray[np.int64]:
    """Row indices of the images in ``group``."""
    if not group.column:
        return np.arange(len(features))
    cells = column_of(features, group.column)
    return np.flatnonzero(cells == group.value) if cells is not None else np.zeros(0, np.int64)


def whole_patient_subset(units: NDArray[np.int64], n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """``n`` row indices, ascending: patients in random order with all their images, the last one cut to fit.

    ``units``: ``[N]`` codes or names. The draw depends on the grouping only, not on names.
    """
    codes = unit_codes(units)
    order = generator.permutation(int(codes.max(initial=-1)) + 1)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.sort(np.argsort(rank[codes], kind="stable")[:n])
