"""Tables about scans: where they lie, and what their mapped columns say."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from synthassay.cohorts.specs import CohortSpec, LabelSpec
from synthassay.cohorts.table_specs import FACTS, TableSpec
from synthassay.errors import UserError
from synthassay.scans.descriptions import column_findings
from synthassay.scans.findings import Finding
from synthassay.scans.limits import LimitSpec
from synthassay.scans.tables import read_frame
from synthassay.scans.text import table_value

if TYPE_CHECKING:
    import pandas as pd

PARTICIPANTS = "participants.tsv"
COLUMNS = ("file", *FACTS)
Row = dict[str, str]
CELLS_LOOKED_AT = 1000  # of a column, for dates and names
IN_BRACES = re.compile(r"\{([^{}]+)\}")
FOLDER = "folder"  # of a table that is read from several files: the name of the folder in which each lies


def table_paths(spec: TableSpec, root: Path) -> list[Path]:
    """The files of the table. Raises :class:`UserError` if there is none or a relative path leaves the root."""
    absolute = Path(spec.path).is_absolute()
    path = Path(spec.path) if absolute else root / spec.path
    found = sorted(_glob(path)) if "*" in spec.path else [path]
    if not absolute and not all(file.resolve().is_relative_to(root.resolve()) for file in found):
        raise UserError(
            f"table.path={spec.path} leaves the cohort's folder.\nGive a path inside it, or an absolute one."
        )
    if not found or not all(file.is_file() for file in found):
        raise UserError(f"the table {spec.path} does not exist under {root}.\n{_without(spec)}")
    return found


def _without(spec: TableSpec) -> str:
    """What to do where a table is missing."""
    if spec.label is None:
        return "Put it there or set its path; to go without it, set cohort.table=null or ~cohort.table.also.NAME."
    return ("Set cohort.table.path to the CSV, TSV, Parquet or Excel file that describes the scans; for scans without "
            "labels set cohort.table=null cohort.label.source=none.")  # fmt: skip


def _glob(path: Path) -> Iterable[Path]:
    fixed = next(parent for parent in path.parents if "*" not in str(parent))
    return (file for file in fixed.glob(path.relative_to(fixed).as_posix()) if file.is_file())


def without_absent_participants(spec: CohortSpec, root: Path) -> CohortSpec:
    """The settings, without the table where it is BIDS's ``participants.tsv``, which BIDS does not require, and absent.

    Scans then have no labels, unless masks or headers give them.
    """
    if spec.table is None or spec.table.path != PARTICIPANTS or (root / PARTICIPANTS).exists():
        return spec
    label = LabelSpec(source="none") if spec.label.source == "table" else spec.label
    return spec.model_copy(update={"table": None, "label": label})


def read_table(
    spec: TableSpec, root: Path, label_wanted: bool, limits: LimitSpec, name: str = "table",
    carried: set[Finding] | None = None,
) -> list[Row]:  # fmt: skip
    """The mapped columns of every row, as text. ``name`` is the setting that describes the table; ``carried`` receives
    what any of its columns carries about people.

    Raises :class:`UserError` naming a column that is not there.
    """
    rows: list[Row] = []
    for path in table_paths(spec, root):
        frame = read_frame(path, spec.sheet, limits.file_mib << 20, spec.encoding)
        if carried is not None:
            for column in frame.columns:
                carried |= column_findings(str(column), frame[column].head(CELLS_LOOKED_AT).tolist())
        if FOLDER not in frame.columns:
            frame[FOLDER] = path.parent.name
        wanted = _wanted(spec, frame, path.name, name, label_wanted)
        columns = {column: _texts(frame, where) for column, where in wanted.items()}
        rows += [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not rows:
        file = PurePosixPath(spec.path).name
        raise UserError(f"the table {file} has no rows.\nGive a table with one row for each {spec.join_on}.")
    return rows


def _wanted(
    spec: TableSpec, frame: "pd.DataFrame", file: str, setting: str, label_wanted: bool
) -> dict[str, str]:  # fmt: skip
    wanted = {column: " ".join(where.split()) for column in COLUMNS if (where := getattr(spec, column)) is not None}
    if not label_wanted:
        wanted.pop("label", None)
    for column, where in wanted.items():
        missing = [part for part in _columns_of(where, frame) if part not in frame.columns]
        if missing:
            kind = "label column" if column == "label" else f"{column} column"
            absent = "" if column in ("label", spec.join_on) else ", or to null where it says nothing of the kind"
            raise UserError(f"the table {file} has no {kind} {missing[0]!r}.\n{_shown_columns(frame)}\n"
                            f"Set cohort.{setting}.{column} to one of them{absent}.")  # fmt: skip
    return wanted


def _columns_of(name: str, frame: "pd.DataFrame") -> list[str]:
    """The columns that a setting names: itself, or those in braces."""
    return [name] if name in frame.columns or not IN_BRACES.search(name) else IN_BRACES.findall(name)


def _texts(frame: "pd.DataFrame", name: str) -> list[str]:
    columns = {part: [table_value(cell) for cell in frame[part].tolist()] for part in _columns_of(name, frame)}
    if name in columns:
        return columns[name]
    rows = (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True))
    return [table_value(IN_BRACES.sub(lambda match, row=row: row[match[1]], name)) for row in rows]  # type: ignore[misc]


def _shown_columns(frame: "pd.DataFrame") -> str:
    """What the table's columns are called, unless they look like data: those of a table without a header are."""
    names = [str(name) for name in frame.columns if name != FOLDER]
    if any(re.search(r"\d{3}|\^", name) or re.fullmatch(r"\s*[-+]?[\d.,]+\s*", name) for name in names):
        return f"It has {len(names)} columns, whose first row looks like data; does the table have a header?"
    return f"Its columns are {', '.join(map(repr, names[:30]))}."
