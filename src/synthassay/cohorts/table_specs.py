"""Settings of the tables about a cohort's scans, and the pattern of what paths say about them."""

import codecs
import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal, Self, get_args

from pydantic import Field, field_serializer, field_validator, model_validator

from synthassay.scans.text import known_suffix
from synthassay.specs import Spec

JoinOn = Literal["file", "series", "study", "patient"]
Fact = Literal["patient", "study", "series", "label", "site", "device", "view", "age", "sex"]
FACTS: tuple[Fact, ...] = get_args(Fact)
GENERIC = re.compile(r"[*?/]*")


def shown(path: str) -> str:
    """A path or pattern as it may stand in a run's settings: a digest, unless it is wildcards and a known suffix.

    Folders and files are often called after patients, and a run's settings travel with its results.
    """
    if GENERIC.fullmatch(path[: len(path) - len(known_suffix(path))]):
        return path
    return "sha256:" + hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:16]


class TableSpec(Spec):
    """A table about the scans (CSV, TSV, Parquet or Excel, CSV and TSV also gzipped): which columns say what.

    ``path`` is relative to the root, or absolute; with ``*`` it names several files that are read as one table. A file
    ``.cfg`` of lines ``name: value`` is a table of one row. ``encoding`` is that of text files, ``None`` UTF-8.
    ``join_on`` names the column that finds the row of a scan: ``file`` (compared by ``match_file`` with the path
    relative to the root, the file name, the file name without extension, or the last N parts of the path), ``series``
    or ``study`` (instance UIDs), or ``patient``.

    A setting is a column's name, or a text with ``{column}`` in it; ``{folder}`` is the name of the folder in which
    the table lies. ``also`` holds further tables by name. They are joined one after another, each to what is known
    by then, so a table of images can give the patient by whom a table of patients is joined; where two tables say
    something about a scan, the later one counts.

    ``several_rows``, where rows for one scan give it different classes: ``refuse`` the scan, take the ``majority``, or
    read them as one ``list`` of values. ``no_row`` is the label of a scan that has no row, for tables that list only
    the positive ones (``null``: such a scan is not used).
    """

    kind: Literal["table"] = "table"
    path: str
    sheet: str | int = 0
    encoding: str | None = None
    join_on: JoinOn = "file"
    match_file: str = Field(default="path", pattern=r"^(path|name|stem|last [2-9])$")
    file: str | None = None
    series: str | None = None
    study: str | None = None
    patient: str | None = None
    label: str | None = None
    site: str | None = None
    device: str | None = None
    view: str | None = None
    age: str | None = None
    sex: str | None = None
    several_rows: Literal["refuse", "majority", "list"] = "refuse"
    no_row: str | None = None
    also: dict[str, "TableSpec"] = Field(default_factory=dict)

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        try:
            return encoding and codecs.lookup(encoding).name
        except LookupError as error:
            raise ValueError(f"{encoding} is no encoding; cp1252, latin-1 and utf-16 are some") from error

    @model_validator(mode="after")
    def _join_column_named(self) -> Self:
        if getattr(self, self.join_on) is None:
            raise ValueError(f"table.join_on={self.join_on} needs table.{self.join_on}, the name of that column")
        if any(further.also for further in self.also.values()):
            raise ValueError("a table of table.also has tables of its own; list all of them in the first table.also")
        if sum(table.label is not None for table in self.all.values()) > 1:
            raise ValueError("only one table can have a label column; set label=null in the others")
        return self

    @property
    def all(self) -> dict[str, "TableSpec"]:
        """This table and the further ones, in the order in which they are joined, by their settings' names."""
        return {"table": self} | {f"table.also.{name}": further for name, further in self.also.items()}

    @field_serializer("also")
    def _also_in_order(self, also: dict[str, "TableSpec"]) -> list[tuple[str, Any]]:
        return [(name, table.to_key()) for name, table in also.items()]  # a key sorts the names of a mapping

    @field_serializer("path")
    def _path_without_folder(self, path: str) -> str:
        # An absolute path says where a table lies on one machine; its content enters the key by the fingerprint.
        return shown(PurePath(path).name if PurePath(path).is_absolute() else path)


def settings_of_a_table(given: Mapping[str, Any]) -> list[str]:
    """The settings of a table that somebody has set: those that differ from what ``conf/cohort/dicom.yaml`` ships."""
    usual = {"file": ("path", None), "label": ("label", None)}
    asked = [name for name in ("file", *FACTS) if given.get(name) not in usual.get(name, (None,))]
    return asked + [name for name in ("no_row", "encoding", "also") if given.get(name)]


def check_path_facts(pattern: str) -> str:
    """``pattern`` if it is a regular expression whose named groups are facts, or empty. Raises ``ValueError``."""
    try:
        groups = set(re.compile(pattern).groupindex)
    except re.error as error:
        raise ValueError(f"path_facts is not a regular expression: {error}") from error
    if pattern and (not groups or groups - set(FACTS)):
        raise ValueError(f"path_facts needs named groups such as (?P<patient>...), of {', '.join(FACTS)}")
    return pattern
