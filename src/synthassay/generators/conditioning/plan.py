"""Which conditions to sample: the mixture of the training images, in an order that any prefix keeps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.records import ImageSet
from synthassay.seeding import numpy_generator


def condition_columns(images: ImageSet, condition_on: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The columns to condition on: ``label`` ``[n]`` int64, the others ``[n]`` text."""
    columns: dict[str, NDArray[Any]] = {}
    for name in condition_on:
        if name == "label":
            columns[name] = images.labels
        elif name in images.groups:
            columns[name] = images.groups[name]
        else:
            known = ", ".join(["label", *sorted(images.groups)])
            text = f"generator.condition_on names {name!r}; these images have {known}.\n"
            raise UserError(text + "Leave it out of condition_on, or map it in the cohort's settings.")
    return columns


def condition_plan(train: ImageSet, n: int, condition_on: Sequence[str], seed: int) -> dict[str, NDArray[Any]]:
    """Conditions of ``n`` synthetic images, in the proportions of ``train``.

    Row i depends on i, ``seed`` and ``train`` only. Every combination of values that train shows takes part; at each
    row the one furthest behind its share comes next, so that every prefix is in proportion to within about one image a
    combination (the largest-deficit method of apportionment). ``seed`` decides ties.
    """
    columns = condition_columns(train, condition_on)
    if not columns:
        return {}
    if len(train) == 0:
        raise UserError("there is no training image to take the conditions from; check the cohort's split")
    index = [np.unique(values, return_inverse=True)[1] for values in columns.values()]
    _, first, counts = np.unique(np.stack(index, 1), axis=0, return_index=True, return_counts=True)
    rows = first[_apportion(counts / counts.sum(), n, seed)]
    return {name: values[rows] for name, values in columns.items()}


def _apportion(shares: NDArray[np.float64], n: int, seed: int) -> NDArray[np.int64]:
    """``n`` indices into ``shares``, whose every prefix follows the shares."""
    order = numpy_generator("condition-plan", seed).permutation(len(shares))
    shares = shares[order]
    owed = np.zeros(len(shares))
    chosen = np.empty(n, np.int64)
    for i in range(n):
        owed += shares
        chosen[i] = np.argmax(owed)
        owed[chosen[i]] -= 1.0
    return order[chosen]
