"""A plan that a user wrote: a table with a row for each combination of conditions to sample."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.generators.conditioning.apportion import apportion, rows_in_turn
from synthassay.records import MISSING, UNLABELLED, ImageSet
from synthassay.scans.tables import read_frame
from synthassay.scans.text import table_value

PER_IMAGE = ("slice_position", "mask")  # differ from image to image
COUNT, WEIGHT = "count", "weight"
MAX_BYTES = 1 << 26
SHOWN = 8  # values that a message lists


@dataclass(frozen=True, slots=True)
class PlanTable:
    """Cells as text, ``""`` where empty. ``columns``: all but that of counts or weights, whose name is ``amount``."""

    name: str  # of the file
    rows: int
    columns: Mapping[str, Sequence[str]]
    amount: str | None
    amounts: Sequence[float]


def read_plan(path: Path) -> PlanTable:
    """Read a CSV or TSV. Raises :class:`UserError` for an empty one and for counts or weights that are none."""
    frame = read_frame(path.expanduser(), 0, MAX_BYTES)
    cells = {str(name): [table_value(cell) for cell in frame[name].tolist()] for name in frame.columns}
    if not len(frame):
        raise UserError(f"sample.plan: {path.name} has no row.\nGive a row for each combination to sample.")
    amounts = [name for name in (COUNT, WEIGHT) if name in cells]
    if len(amounts) == 2:
        raise UserError(f"sample.plan: {path.name} has both a count and a weight; keep one of the two columns")
    amount = amounts[0] if amounts else None
    numbers = _amounts(path.name, amount, cells.pop(amount)) if amount else [1.0] * len(frame)
    return PlanTable(path.name, len(frame), cells, amount, numbers)


def _amounts(file: str, name: str, cells: Sequence[str]) -> list[float]:
    numbers = []
    for line, cell in enumerate(cells, 2):
        number = _number(cell)
        if number is None or number < 0 or (name == COUNT and number != int(number)):
            wanted = "a whole number of images" if name == COUNT else "a number from 0 on"
            raise UserError(f"sample.plan: {file}, line {line}: {name} is {cell!r}; give {wanted}")
        numbers.append(number)
    if not sum(numbers):
        raise UserError(f"sample.plan: {file} asks for nothing, since every {name} is 0")
    return numbers


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def counted(table: PlanTable) -> int | None:
    """The sum of the counts; None for a table without them."""
    return int(sum(table.amounts)) if table.amount == COUNT else None


def tabled(
    table: PlanTable, train: ImageSet, columns: Mapping[str, NDArray[Any]], n: int, seed: int
) -> dict[str, NDArray[Any]]:
    """Conditions of ``n`` images in the proportions of the table, so that every prefix keeps them.

    An empty cell is a condition that is missing. A condition without a column is taken from training images that have
    what the row says: from each in turn, and all such conditions of one image together.

    Raises :class:`UserError` where the table does not fit the conditions or the training images.
    """
    _check_columns(table, tuple(columns))
    given = {name: _parsed(table, name, train, columns[name]) for name in columns if name in table.columns}
    chosen = apportion(np.array(table.amounts) / sum(table.amounts), n, seed)
    plan = {name: values[chosen] for name, values in given.items()}
    rest = [name for name in columns if name not in given]
    if rest:
        rows = rows_in_turn([_alike(table, row, columns, given, rest) for row in range(table.rows)], chosen, seed)
        plan |= {name: np.asarray(columns[name][rows]) for name in rest}
    return {name: plan[name] for name in columns}


def _check_columns(table: PlanTable, conditions: Sequence[str]) -> None:
    if "mask" in table.columns:
        raise UserError(f"sample.plan: {table.name} has a column mask, and a table holds none.\n"
                        "Leave it out: each image then takes the mask of a training image of its row.")  # fmt: skip
    unknown = [name for name in table.columns if name not in conditions]
    possible = ", ".join(name for name in conditions if name != "mask")
    if unknown:
        raise UserError(f"sample.plan: {table.name} has the column {unknown[0]!r}, which is no condition of this "
                        f"generator.\nIts columns may be {possible or 'none'} (generator.condition_on), and count or "
                        "weight.")  # fmt: skip
    if not table.columns:
        raise UserError(f"sample.plan: {table.name} has no condition as a column; give one of: {possible or 'none'}")
    if "slice_position" in table.columns and "mask" in conditions:
        raise UserError(f"sample.plan: {table.name} says slice_position, and masks belong to the slices that they were "
                        "drawn on.\nLeave the column out: both then come from one training image.")  # fmt: skip


def _parsed(table: PlanTable, name: str, train: ImageSet, seen: NDArray[Any]) -> NDArray[Any]:
    """The cells of a column as :func:`condition_columns` has them; ``seen`` is the column of the training images."""
    cells = table.columns[name]
    if name == "slice_position":
        return np.array([_position(table, line, cell) for line, cell in enumerate(cells, 2)], np.float32)
    known = {MISSING: UNLABELLED if name == "label" else MISSING}
    for value in np.unique(seen).tolist():
        if value not in (UNLABELLED, MISSING):
            known[train.label_names[value] if name == "label" else value] = value
    for line, cell in enumerate(cells, 2):
        if cell not in known:
            texts = [text for text in known if text]
            more = f"; and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
            raise UserError(f"sample.plan: {table.name}, line {line}: no training image has {name}={cell!r}.\n"
                            f"They have: {'; '.join(texts[:SHOWN])}{more}.")  # fmt: skip
    return np.array([known[cell] for cell in cells])


def _position(table: PlanTable, line: int, cell: str) -> float:
    number = math.nan if cell == MISSING else _number(cell)
    if number is None or not (math.isnan(number) or 0 <= number <= 1):
        raise UserError(f"sample.plan: {table.name}, line {line}: slice_position is {cell!r}; give a number from 0 "
                        "(the first slice of a volume) to 1 (the last), or nothing")  # fmt: skip
    return number


def _alike(
    table: PlanTable, row: int, columns: Mapping[str, NDArray[Any]], given: Mapping[str, NDArray[Any]],
    rest: Sequence[str],
) -> NDArray[np.int64]:  # fmt: skip
    """The training images that have the labels and groups which a row of the table states."""
    stated = [name for name in given if name not in PER_IMAGE and table.columns[name][row] != MISSING]
    fits = np.ones(len(columns[rest[0]]), bool)
    for name in stated:
        fits &= columns[name] == given[name][row]
    if not fits.any():
        said = ", ".join(f"{name}={table.columns[name][row]!r}" for name in stated)
        add = [name for name in rest if name != "mask"]
        remedy = f"Give {' and '.join(add)} in columns of their own, or leave" if add == rest else "Leave"
        raise UserError(f"sample.plan: {table.name}, line {row + 2}: no training image has {said}, so {rest[0]} cannot "
                        f"be taken from one.\n{remedy} the row out.")  # fmt: skip
    return np.flatnonzero(fits)
