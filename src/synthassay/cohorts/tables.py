"""Tables about scans: reading them, and joining them to the scans."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from synthassay.cohorts.sources import Source
from synthassay.cohorts.specs import CohortSpec, JoinOn, LabelSpec, TableSpec
from synthassay.errors import UserError
from synthassay.records import Quarantined
from synthassay.scans.text import age_of, clean, sex_of, table_value
from synthassay.scans.vendors import written_device
from synthassay.scans.views import view_of

if TYPE_CHECKING:
    import pandas as pd

PARTICIPANTS = "participants.tsv"
COLUMNS = ("file", "series", "study", "patient", "label", "site", "device", "view", "age", "sex")
Row = dict[str, str]
SUFFIX = re.compile(r"\.nii\.gz$|\.[A-Za-z][A-Za-z0-9]{1,4}$")  # not the end of a file called after a UID


@dataclass(frozen=True, slots=True)
class Joined:
    """Scans with what the table says about them, those without a row, and sentences about the join."""

    sources: list[Source]
    refused: list[Quarantined]
    notes: list[str]


def table_path(spec: TableSpec, root: Path) -> Path:
    """Where the table lies. Raises :class:`UserError` if it is missing or a relative path leaves the root."""
    path = Path(spec.path) if Path(spec.path).is_absolute() else root / spec.path
    if not Path(spec.path).is_absolute() and not path.resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"table.path={spec.path} leaves the cohort's folder.\nGive a path inside it, or an absolute one."
        )
    if not path.is_file():
        raise UserError(f"the table {spec.path} does not exist under {root}.\n"
                        "Set cohort.table.path to the CSV, TSV or Parquet file that describes the scans; for scans "
                        "without labels set cohort.table=null cohort.label.source=none.")  # fmt: skip
    return path


def without_absent_participants(spec: CohortSpec, root: Path) -> CohortSpec:
    """The settings, without the table where it is BIDS's ``participants.tsv``, which BIDS does not require, and absent.

    Scans then have no labels, unless masks or headers give them.
    """
    if spec.table is None or spec.table.path != PARTICIPANTS or (root / PARTICIPANTS).exists():
        return spec
    label = LabelSpec(source="none") if spec.label.source == "table" else spec.label
    return spec.model_copy(update={"table": None, "label": label})


def read_table(spec: TableSpec, root: Path, label_wanted: bool) -> list[Row]:
    """The mapped columns of every row, as text. Raises :class:`UserError` naming a column that is not there."""
    path = table_path(spec, root)
    frame = _read_frame(path)
    wanted = {column: name for column in COLUMNS if (name := getattr(spec, column)) is not None}
    for column, name in wanted.items():
        if name in frame.columns:
            continue
        if column == "label" and not label_wanted:
            continue
        kind = "label column" if column == "label" else f"{column} column"
        raise UserError(f"the table {path.name} has no {kind} {name!r}.\n{_columns(frame)}\n"
                        f"Set cohort.table.{column} to one of them.")  # fmt: skip
    wanted = {column: name for column, name in wanted.items() if name in frame.columns}
    if not len(frame):
        raise UserError(f"the table {path.name} has no rows.\nGive a table with one row for each {spec.join_on}.")
    texts = {column: [table_value(value) for value in frame[name].tolist()] for column, name in wanted.items()}
    return [dict(zip(texts, values, strict=True)) for values in zip(*texts.values(), strict=True)]


def _columns(frame: "pd.DataFrame") -> str:
    """What the table's columns are called, unless they look like data: those of a table without a header are."""
    names = [str(name) for name in frame.columns]
    if any(re.search(r"\d{3}|\^", name) or re.fullmatch(r"\s*[-+]?[\d.,]+\s*", name) for name in names):
        return f"It has {len(names)} columns, whose first row looks like data; does the table have a header?"
    return f"Its columns are {', '.join(map(repr, names[:30]))}."


def _read_frame(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            return pd.read_parquet(path)
        separator = "\t" if path.suffix.lower() in {".tsv", ".tab"} else ","
        return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OSError, UnicodeError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"the table {path.name} cannot be read ({type(error).__name__}).\n"
                        "Save it as CSV with commas, TSV with tabs, or Parquet, in UTF-8.") from error  # fmt: skip


def _file_key(path: str, how: str) -> str:
    # Cells are read with runs of blanks folded; a file's name gets the same treatment to stay comparable.
    normal = PurePosixPath(" ".join(path.replace("\\", "/").split()))
    return {"path": normal.as_posix(), "name": normal.name, "stem": SUFFIX.sub("", normal.name)}[how]


def _row_key(text: str, join_on: JoinOn, spec: TableSpec) -> str:
    if join_on == "file":
        return _file_key(text, spec.match_file)
    return text.removeprefix("sub-") if join_on == "patient" else text


def _source_key(source: Source, join_on: JoinOn, spec: TableSpec) -> str:
    texts = {"file": source.path, "series": source.series, "study": source.study, "patient": source.patient}
    text = texts[join_on]
    return _row_key(text if join_on == "file" else table_value(text), join_on, spec)


def _by_key(rows: Sequence[Row], spec: TableSpec) -> tuple[dict[str, Row], set[str], int]:
    """Rows by join key, the keys whose label or patient is contradictory, and how many other cells contradict.

    Several rows may share a key (a table of images joined on patients); a fact they disagree on is not known.
    """
    levels = ("file", "series", "study", "patient")
    dropped = levels[: levels.index(spec.join_on) + 1]
    merged: dict[str, Row] = {}
    disputed: dict[str, set[str]] = {}
    for row in rows:
        key = _row_key(row[spec.join_on], spec.join_on, spec)
        if not key:
            continue
        facts = {column: text for column, text in row.items() if column not in dropped}
        first = merged.setdefault(key, facts)
        disputed.setdefault(key, set()).update(column for column in facts if facts[column] != first[column])
    decisive = {"label", "patient"}
    blanked = sum(len(columns - decisive) for columns in disputed.values())
    by_key = {key: {c: "" if c in disputed[key] else t for c, t in facts.items()} for key, facts in merged.items()}
    return by_key, {key for key, columns in disputed.items() if columns & decisive}, blanked


def join(sources: Sequence[Source], rows: Sequence[Row], spec: TableSpec, row_needed: bool) -> Joined:
    """Attach the table to the scans. What the table says goes before what a header says.

    ``row_needed``: a scan without a row is refused. Raises :class:`UserError` where the table matches no scan.
    """
    by_key, conflicts, blanked = _by_key(rows, spec)
    keys = [_source_key(source, spec.join_on, spec) for source in sources]
    if not any(key in by_key for key in keys):
        raise UserError(_nothing_matches(sources, rows, spec))
    kept: list[Source] = []
    refused: list[Quarantined] = []
    for source, key in zip(sources, keys, strict=True):
        if key in conflicts:
            reason = "the table has rows for it that contradict each other"
            refused.append(Quarantined(path=source.path, field=spec.join_on, found="several rows", reason=reason))
        elif key in by_key:
            kept.append(_attached(source, by_key[key]))
        elif row_needed:
            refused.append(Quarantined(path=source.path, field=spec.join_on, found="no row",
                                       reason="the table has no row for it"))  # fmt: skip
        else:
            kept.append(source)
    unused = len(by_key.keys() - set(keys))
    notes = [f"{unused:,} entries of the table match no scan that was read."] if unused else []
    if blanked:
        notes.append(
            f"Rows of the table for the same {spec.join_on} disagree on {blanked:,} facts, which are left out."
        )
    return Joined(kept, refused, notes)


def _attached(source: Source, row: Row) -> Source:
    patient = row.get("patient") or source.patient
    study = row.get("study") or (patient if source.study == source.patient else source.study)
    return replace(
        source, patient=patient, study=study, label=row.get("label", source.label) or None,
        site=clean(row.get("site")) or source.site, device=written_device(row.get("device")) or source.device,
        view=view_of(row.get("view")) or source.view, sex=sex_of(row.get("sex")) or source.sex,
        age=_first(age_of(row.get("age")), source.age),
    )  # fmt: skip


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _nothing_matches(sources: Iterable[Source], rows: Sequence[Row], spec: TableSpec) -> str:
    """Say that no row matches, and which other way to join would."""
    scans = list(sources)
    column = getattr(spec, spec.join_on)
    lines = [f"the table {Path(spec.path).name} matches no scan: its column {column!r} ({len(rows):,} rows) was "
             f"compared with the {spec.join_on} of {len(scans):,} files."]  # fmt: skip
    ways: tuple[tuple[JoinOn, str], ...] = (
        ("file", "path"), ("file", "name"), ("file", "stem"), ("patient", "path"), ("study", "path"), ("series", "path")
    )  # fmt: skip
    for join_on, how in ways:
        other = spec.model_copy(update={"join_on": join_on, "match_file": how, join_on: column})
        keys = {_row_key(row[spec.join_on], join_on, other) for row in rows}
        if any(_source_key(source, join_on, other) in keys for source in scans):
            extra = f" cohort.table.match_file={how}" if join_on == "file" else ""
            lines.append(f"It would match with cohort.table.join_on={join_on} cohort.table.{join_on}={column}{extra}.")
            return "\n".join(lines)
    lines.append("Check cohort.table.join_on (file, series, study or patient) and the column named for it.")
    return "\n".join(lines)
