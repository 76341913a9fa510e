"""The table of an external set: which images are used, and what is known about each."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import pandas as pd

from synthassay.errors import UserError
from synthassay.generators.external.files import read_text
from synthassay.generators.external.specs import ExternalSpec
from synthassay.records import MISSING, UNLABELLED, UNLABELLED_NAMES
from synthassay.scans.arrays import SUFFIXES as ARRAYS

_MAX_CELL = 64  # characters of a site or device, as in a DICOM header
_DATA = re.compile(r"\d{3}|\^|^\s*[-+]?\d*[.,]?\d+\s*$")  # a date, an id, a person's name, a number
_INSIDE = re.compile(rf"(.+?({'|'.join(map(re.escape, ARRAYS))}))/.+/[0-9]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about an image beside its pixels."""

    label: int = UNLABELLED
    site: str = MISSING
    device: str = MISSING


def table_path(table: str, root: Path) -> Path:
    """Where the table lies. Outside the root only by an absolute path, which the user must have meant."""
    path = root / table
    if not PurePath(table).is_absolute():
        try:
            inside = ".." not in PurePath(table).parts and path.resolve().is_relative_to(root.resolve())
        except (OSError, RuntimeError):  # links in a circle
            inside = False
        if not inside:
            raise UserError(f"generator.table leads out of generator.root: {table}\n"
                            "Give a file inside that folder, or an absolute path.")  # fmt: skip
    return path


def _listed(columns: Iterable[object]) -> str:
    """Column names for a message; not those of a table without a header, whose first row is somebody's data."""
    names = [str(name) for name in columns]
    if any(_DATA.search(name) for name in names):
        return f"{len(names)} columns, whose first row looks like data; does the table have a header?"
    return f"it has: {', '.join(names[:12])}"


def _cell(text: str) -> str:
    """A site or device as one short line: without control characters and signs that change direction."""
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in text)
    return " ".join(kept.split())[:_MAX_CELL].rstrip()


def read_table(spec: ExternalSpec, root: Path, names: tuple[str, ...]) -> dict[str, Facts]:
    """The rows of the table by path."""
    assert spec.table is not None
    table = table_path(spec.table, root)
    separator = "\t" if table.suffix.lower() in (".tsv", ".tab") else ","
    try:
        frame = pd.read_csv(read_text(table, "generator.table"), sep=separator, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{spec.table} is not a table with a header row, separated by commas (.csv) or tabs (.tsv).\n"
                        "Check generator.table.") from error  # fmt: skip
    columns = spec.columns
    for field, column in (("path", columns.path), ("label", columns.label), ("site", columns.site),
                          ("device", columns.device)):  # fmt: skip
        if column is not None and column not in frame.columns:
            raise UserError(f"{spec.table} has no column {column!r} ({_listed(frame.columns)}).\n"
                            f"Name the right one with generator.columns.{field}=NAME"
                            + ("." if field == "path" else f", or set generator.columns.{field}=null."))  # fmt: skip
    rows: dict[str, Facts] = {}
    for row in frame.to_dict("records"):
        path, facts = _row(row, spec, names)
        if path in rows:
            raise UserError(f"{spec.table} lists {path} twice.\nKeep one row for each image.")
        rows[path] = facts
    return rows


def _row(row: Mapping[Any, str], spec: ExternalSpec, names: tuple[str, ...]) -> tuple[str, Facts]:
    columns = spec.columns
    path = PurePosixPath(row[columns.path].strip().replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{spec.table}: the path {path} leads out of generator.root.\n"
                        "Give paths relative to that folder.")  # fmt: skip
    text = "" if columns.label is None else row[columns.label].strip()
    label = labelled(f"{spec.table}: {path}", text, names, "leave the label empty", "generator.columns.label=null")
    site, device = ("" if column is None else _cell(row[column]) for column in (columns.site, columns.device))
    return _as_listed(path.as_posix()), Facts(label, site, device)


def array_file(path: str) -> str | None:
    """The array file in which ``path`` goes on, if it does."""
    inside = _INSIDE.fullmatch(path)
    return inside and inside[1]


def _as_listed(path: str) -> str:
    """A path as items have it: the row of an array file with leading zeros."""
    if array_file(path) is None:
        return path
    before, _, row = path.rpartition("/")
    return f"{before}/{int(row):06d}"


def labelled(where: str, text: str, names: tuple[str, ...], other: str, without: str) -> int:
    """The class that ``text`` names, or a :class:`UserError` that ``other`` is a way out of, or ``without``."""
    if text and names == UNLABELLED_NAMES:
        raise UserError(f"{where} has the label {text!r}, and the cohort has no labels.\n"
                        "Say where they stand (cohort.table.path, cohort.label.source), or set "
                        f"{without}.")  # fmt: skip
    label = class_index(text, names)
    if label is None:
        raise UserError(f"{where} has the label {text!r}; the cohort's labels are "
                        f"{', '.join(f'{name!r} ({i})' for i, name in enumerate(names))}.\n"
                        f"Use these names or numbers, or {other}.")  # fmt: skip
    return label


def class_index(text: str, names: Sequence[str]) -> int | None:
    """The class that ``text`` names, by name first and else by index; −1 for empty text, None for an unknown one."""
    if not text:
        return UNLABELLED
    if text in names:
        return list(names).index(text)
    folded = [name.casefold() for name in names]
    if folded.count(text.casefold()) == 1:
        return folded.index(text.casefold())
    number = text.removesuffix(".0")  # what a spreadsheet makes of an index
    return int(number) if number.isascii() and number.isdigit() and int(number) < len(names) else None
