"""Which conditions to sample: the mixture of the training images or another one, in an order that any prefix keeps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.generators.conditioning.apportion import apportion, rows_in_turn
from synthassay.generators.conditioning.plan_specs import PlanSpec
from synthassay.generators.conditioning.plan_table import PER_IMAGE, counted, read_plan, tabled
from synthassay.records import UNLABELLED, ImageSet

AUTO = "auto"
MEASURED = ("slice_position",)  # covariates that a generator can be conditioned on


def conditions_of(images: ImageSet, condition_on: Sequence[str]) -> tuple[str, ...]:
    """The columns that ``condition_on`` stands for: ``auto`` is the label, where any of ``images`` has one."""
    label = ("label",) if (images.labels != UNLABELLED).any() else ()
    return tuple(dict.fromkeys(name for given in condition_on for name in (label if given == AUTO else (given,))))


def condition_columns(images: ImageSet, condition_on: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The columns to condition on.

    ``label``: ``[n]`` int64, −1 where missing; ``slice_position``: ``[n]`` float32, NaN where missing; ``mask``:
    ``[n, (d,) h, w]`` uint8, 255 where missing; the others ``[n]`` text, ``""`` where missing.
    """
    return {name: _column(images, name) for name in conditions_of(images, condition_on)}


def _column(images: ImageSet, name: str) -> NDArray[Any]:
    if name == "label":
        return images.labels
    if name in images.groups:
        return images.groups[name]
    if name in MEASURED and name in images.covariates:
        return images.covariates[name]
    if name == "mask" and images.masks is not None:
        return images.masks
    known = ["label", *sorted(images.groups), *(c for c in MEASURED if c in images.covariates)]
    known += ["mask"] if images.masks is not None else []
    remedy = "map it in the cohort's settings" if name != "mask" else "have them kept by cohort.masks.keep=true"
    raise UserError(f"generator.condition_on names {name!r}; these images have {', '.join(known)}.\n"
                    f"Leave it out of condition_on, or {remedy}.")  # fmt: skip


def planned_images(plan: PlanSpec) -> int | None:
    """How many images a plan asks for: the sum of a table's column ``count``; None where it does not say."""
    return counted(read_plan(Path(plan.table))) if plan.table is not None else None


def condition_plan(
    train: ImageSet, n: int, condition_on: Sequence[str], seed: int, plan: PlanSpec | None = None
) -> dict[str, NDArray[Any]]:
    """Conditions of ``n`` synthetic images, as :func:`condition_columns` gives them; without ``plan``, the real ones.

    Row i depends on i, ``seed``, ``train`` and ``plan`` only. Every combination of labels and groups that ``train``
    shows takes part, missing values among them, in its share of ``train`` or in equal shares; every prefix keeps them.
    What differs from image to image, such as masks, is taken together from one training image of the combination: from
    each in turn, in an order drawn from ``seed``. A plan that is a table says itself which combinations take part.

    Raises :class:`UserError` for a column that the images do not have and a table that does not fit them.
    """
    plan = plan or PlanSpec()
    columns = condition_columns(train, condition_on)
    if plan.table is not None:
        return tabled(read_plan(Path(plan.table)), train, columns, n, seed)
    if not columns:
        return {}
    if len(train) == 0:
        raise UserError("there is no training image to take the conditions from; check the cohort's split")
    combination = _combinations([values for name, values in columns.items() if name not in PER_IMAGE], len(train))
    counts = np.bincount(combination)
    shares = counts / counts.sum() if plan.rule == "real" else np.full(len(counts), 1 / len(counts))
    members = [np.flatnonzero(combination == number) for number in range(len(counts))]
    rows = rows_in_turn(members, apportion(shares, n, seed), seed)
    return {name: np.asarray(values[rows]) for name, values in columns.items()}


def _combinations(columns: Sequence[NDArray[Any]], n: int) -> NDArray[np.int64]:
    """``[n]``: the number of each row's combination of values, from 0; all 0 without columns."""
    if not columns:
        return np.zeros(n, np.int64)
    codes = np.stack([np.unique(values, return_inverse=True)[1] for values in columns], 1)
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)
