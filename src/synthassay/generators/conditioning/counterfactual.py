"""Counterfactuals: the conditions of some seeds with one of them changed through its values, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.generators.conditioning.plan import MEASURED, condition_columns, condition_plan
from synthassay.generators.conditioning.plan_specs import CounterfactualSpec, PlanSpec
from synthassay.records import MISSING, UNKNOWN_MASK, UNLABELLED, ImageSet
from synthassay.seeding import derive_seed

MOST_VALUES = 6  # of one condition, those that training showed most often
SWEEP = 5  # positions from the first to the last that training showed


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One condition through its values.

    Rows of ``seeds`` and ``conditions`` go seed by seed: v values, then the reference once more under another seed.
    """

    column: str
    values: Sequence[str]  # [v] for a reader
    reference: int  # the index of the value that the others are held against
    left_out: int  # rarer values that are not asked for
    seeds: NDArray[np.int64]  # [s·(v+1)]
    conditions: dict[str, NDArray[Any]]  # as condition_plan gives them, s·(v+1) rows
    others: Sequence[str]  # [s] the conditions that stay, for a reader
    unseen: NDArray[np.bool_]  # [s, v] no training image has what is known of such a row


def contrasts(
    train: ImageSet, condition_on: Sequence[str], spec: CounterfactualSpec, plan: PlanSpec, seed: int
) -> list[Contrast]:
    """One contrast for each condition that ``spec`` asks for and of which ``train`` shows two values.

    Seeds and conditions are those of the first images of the synthetic set, all but the one that changes. The reference
    is the value that is most frequent in ``train``; of a measured condition, the middle of its range.
    """
    known = condition_columns(train, condition_on)
    planned = condition_plan(train, spec.seeds, condition_on, seed, plan)
    asked = [name for name in known if name != "mask" and (spec.columns is None or name in spec.columns)]
    made = []
    for column in asked:
        values, left_out = _values(column, known[column])
        if len(values) > 1:
            made.append(_contrast(train, column, values, left_out, known, planned, seed))
    return made


def _values(column: str, seen: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Values to ask for, the reference among them, and how many are left out."""
    if column in MEASURED:
        seen = seen[~np.isnan(seen)]
        low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 0.0)
        return np.unique(np.linspace(low, high, SWEEP).astype(np.float32)), 0
    values, counts = np.unique(seen[~_missing(seen)], return_counts=True)
    kept = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    return values[kept], len(values) - len(kept)


def _contrast(
    train: ImageSet, column: str, values: NDArray[Any], left_out: int, known: dict[str, NDArray[Any]],
    planned: dict[str, NDArray[Any]], seed: int,
) -> Contrast:  # fmt: skip
    reference = len(values) // 2 if column in MEASURED else 0
    n, versions = len(planned[column]), len(values) + 1
    conditions = {name: np.repeat(rows, versions, axis=0) for name, rows in planned.items()}
    conditions[column] = np.tile(np.append(values, values[reference]), n)
    own = [[derive_seed("image", seed, i)] * len(values) + [derive_seed("counterfactual", seed, i)] for i in range(n)]
    unseen = _unseen(known, conditions, column).reshape(n, versions)[:, :-1]
    stays = [name for name in planned if name not in (column, "mask")]
    return Contrast(
        column=column,
        values=[_text(train, column, value) for value in values],
        reference=reference,
        left_out=left_out,
        seeds=np.array(own, np.int64).ravel(),
        conditions=conditions,
        others=[", ".join(filter(None, (_text(train, name, planned[name][i]) for name in stays))) for i in range(n)],
        unseen=unseen,
    )


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    missing: NDArray[np.bool_] = values == (MISSING if values.dtype.kind == "U" else UNLABELLED)
    return missing


def _unseen(known: dict[str, NDArray[Any]], asked: dict[str, NDArray[Any]], column: str) -> NDArray[np.bool_]:
    """Per row of ``asked``: no training image agrees in all that is named, nor in the classes that its mask holds.

    What is missing agrees with everything. Numbers are left out: a position between those of two images is no new kind.
    """
    seen, wanted = ({n: v for n, v in part.items() if n not in (*MEASURED, "mask")} for part in (known, asked))
    if "mask" in known and column not in MEASURED:
        seen["mask"], wanted["mask"] = _classes(known["mask"]), _classes(asked["mask"])
    rows = range(len(asked[column]))
    fits = [
        np.logical_and.reduce([(seen[n] == v[i]) | _missing(v[i : i + 1]) for n, v in wanted.items()] or [True])
        for i in rows
    ]
    return np.array([not np.any(fit) for fit in fits])


def _classes(masks: NDArray[np.uint8]) -> NDArray[np.str_]:
    """``[n]``: which classes each mask holds, ``""`` where it is missing."""
    found = [" ".join(map(str, np.unique(mask).tolist())) for mask in masks]
    return np.array([MISSING if text == str(UNKNOWN_MASK) else text for text in found])


def _text(train: ImageSet, column: str, value: Any) -> str:
    if column in MEASURED:
        return "" if np.isnan(value) else f"{column.replace('_', ' ')} {value:.2f}"
    if column == "label":
        return train.label_names[value] if value != UNLABELLED else ""
    return str(value)
