"""Tables joined to scans: who has a row, what several rows say together, and what is left over on either side."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from synthassay.cohorts.facts import Recode, attach
from synthassay.cohorts.sources import Source
from synthassay.cohorts.table_specs import JoinOn, TableSpec
from synthassay.cohorts.tables import Row
from synthassay.errors import UserError
from synthassay.records import CohortTable, Quarantined
from synthassay.scans.text import table_value

LEVELS = ("file", "series", "study", "patient")
DECISIVE = frozenset({"label", "patient"})
NO_CODES: Recode = {}
ClassOf = Callable[[str], Hashable]  # what labels of one class have in common
SUFFIX = re.compile(r"\.nii\.gz$|\.[A-Za-z][A-Za-z0-9]{1,4}$")  # not the end of a file called after a UID


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCounts:
    """How a table met the scans. An entry is what its rows for one scan, study or patient say together."""

    table: str  # the setting that describes it: table, table.also.NAME
    join_on: str
    rows: int
    scans_with_row: int
    scans_without_row: int
    patients_with_row: int
    entries: int
    entries_without_scan: int
    contradicted: int  # entries whose rows differ in label or patient; their scans are not used


@dataclass(frozen=True, slots=True)
class Joined:
    """Scans with what the table says about them, those that are not used, sentences, and the counts."""

    sources: list[Source]
    refused: list[Quarantined]
    notes: list[str]
    counts: JoinCounts


@dataclass(frozen=True, slots=True)
class _Entries:
    """Rows by the key by which scans find them; keys whose label or patient is contradictory; disputed other cells."""

    by_key: dict[str, Row]
    conflicts: set[str]
    blanked: int


def _file_key(path: str, how: str) -> str:
    # Cells are read with runs of blanks folded; a file's name gets the same treatment to stay comparable.
    parts = [part for part in " ".join(path.replace("\\", "/").split()).split("/") if part not in ("", ".")] or [""]
    if how == "path":
        return "/".join(parts)
    if how.startswith("last "):
        return "/".join(parts[-int(how[-1]) :])
    return parts[-1] if how == "name" else SUFFIX.sub("", parts[-1])


def _row_key(text: str, join_on: JoinOn, spec: TableSpec) -> str:
    text = unicodedata.normalize("NFC", text)  # some systems write an accent as a sign of its own
    if join_on == "file":
        return _file_key(text, spec.match_file)
    return text.removeprefix("sub-") if join_on == "patient" else text


def _source_key(source: Source, join_on: JoinOn, spec: TableSpec) -> str:
    texts = {"file": source.path, "series": source.series, "study": source.study, "patient": source.patient}
    text = texts[join_on]
    return _row_key(text if join_on == "file" else table_value(text), join_on, spec)


def _entries(rows: Sequence[Row], spec: TableSpec, separator: str, class_of: ClassOf) -> _Entries:
    """Several rows may share a key (a table of images joined on patients); a fact they disagree on is not known."""
    dropped = LEVELS[: LEVELS.index(spec.join_on) + 1]
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        key = _row_key(row[spec.join_on], spec.join_on, spec) if row[spec.join_on] else ""
        if key:
            grouped.setdefault(key, []).append({name: text for name, text in row.items() if name not in dropped})
    by_key, conflicts, blanked = {}, set(), 0
    for key, members in grouped.items():
        if len(members) == 1:
            by_key[key] = members[0]
            continue
        if "label" in members[0]:
            label = _one_label([row["label"] for row in members], spec, separator, class_of)
            members = [row | {"label": label} for row in members] if label is not None else members
        disputed = {name for name in members[0] if len({row[name] for row in members}) > 1}
        if disputed & DECISIVE:
            conflicts.add(key)
        blanked += len(disputed - DECISIVE)
        by_key[key] = {name: "" if name in disputed else text for name, text in members[0].items()}
    return _Entries(by_key, conflicts, blanked)


def _one_label(labels: Sequence[str], spec: TableSpec, separator: str, class_of: ClassOf) -> str | None:
    """The label of several rows for one scan by ``spec.several_rows``; None where the rule gives none.

    Labels of one class agree: two nodules and three are both some.
    """
    if spec.several_rows == "list":
        return separator.join(sorted(set(labels) - {""}))
    first_of = {class_of(label): label for label in reversed(labels)}
    counts = Counter(class_of(label) for label in labels).most_common()
    if len(counts) == 1 or (spec.several_rows == "majority" and counts[0][1] > counts[1][1]):
        return first_of[counts[0][0]]
    return None


def join(
    sources: Sequence[Source], rows: Sequence[Row], spec: TableSpec, row_needed: bool, *,
    name: str = "table", separator: str = "", recode: Recode = NO_CODES, class_of: ClassOf = str,
) -> Joined:  # fmt: skip
    """Attach the table to the scans. What the table says goes before what a path or a header says.

    ``row_needed``: a scan without a row is refused. Raises :class:`UserError` where the table matches no scan.
    """
    entries = _entries(rows, spec, separator, class_of)
    keys = [_source_key(source, spec.join_on, spec) for source in sources]
    if not any(key in entries.by_key for key in keys):
        raise UserError(_nothing_matches(sources, rows, spec, name))
    kept: list[Source] = []
    refused: list[Quarantined] = []
    without = 0
    for source, key in zip(sources, keys, strict=True):
        row = entries.by_key.get(key)
        without += row is None
        if key in entries.conflicts:
            reason = "the table has rows for it that contradict each other"
            refused.append(Quarantined(path=source.path, field=spec.join_on, found="several rows", reason=reason))
        elif row is not None:
            kept.append(attach(source, row, recode))
        elif row_needed and spec.no_row is None:
            refused.append(Quarantined(path=source.path, field=spec.join_on, found="no row",
                                       reason="the table has no row for it"))  # fmt: skip
        else:
            kept.append(source if spec.no_row is None else attach(source, {"label": spec.no_row}, NO_CODES))
    people = {source.patient for source, key in zip(sources, keys, strict=True) if key in entries.by_key}
    counts = JoinCounts(
        table=name, join_on=spec.join_on, rows=len(rows), scans_with_row=len(sources) - without,
        scans_without_row=without, entries=len(entries.by_key),
        patients_with_row=len(people),
        entries_without_scan=len(entries.by_key.keys() - set(keys)), contradicted=len(entries.conflicts & set(keys)),
    )  # fmt: skip
    return Joined(kept, refused, _notes(counts, entries.blanked), counts)


def _notes(counts: JoinCounts, blanked: int) -> list[str]:
    table = "the table" if counts.table == "table" else f"cohort.{counts.table}"
    notes = []
    if counts.entries_without_scan:
        notes.append(f"{counts.entries_without_scan:,} entries of {table} match no scan that was read.")
    if blanked:
        notes.append(f"Rows of {table} for the same {counts.join_on} disagree on {blanked:,} facts, which are left "
                     "out.")  # fmt: skip
    return notes


def joins_table(joins: Sequence[JoinCounts]) -> CohortTable:
    """How many scans and entries of each table found one another."""
    columns = ("Table", "Joined on", "Rows", "Scans with a row", "Scans without", "Entries without a scan",
               "Entries that contradict themselves")  # fmt: skip
    rows = tuple(
        (join.table, join.join_on, *(f"{count:,}" for count in (
            join.rows, join.scans_with_row, join.scans_without_row, join.entries_without_scan, join.contradicted)))
        for join in joins
    )  # fmt: skip
    return CohortTable(title="Joins", columns=columns, rows=rows,
                       patients=tuple(join.patients_with_row for join in joins),
                       note="How the tables about the scans were joined to them.")  # fmt: skip


def _nothing_matches(sources: Iterable[Source], rows: Sequence[Row], spec: TableSpec, name: str) -> str:
    """Say that no row matches, and which other way to join would."""
    scans = list(sources)
    column = getattr(spec, spec.join_on)
    lines = [f"the table {PurePosixPath(spec.path).name} matches no scan: its column {column!r} ({len(rows):,} rows) "
             f"was compared with the {spec.join_on} of {len(scans):,} files."]  # fmt: skip
    ways: tuple[tuple[JoinOn, str], ...] = (
        ("file", "path"), ("file", "name"), ("file", "stem"), ("patient", "path"), ("study", "path"), ("series", "path")
    )  # fmt: skip
    for join_on, how in ways:
        other = spec.model_copy(update={"join_on": join_on, "match_file": how, join_on: column})
        keys = {_row_key(row[spec.join_on], join_on, other) for row in rows}
        if any(_source_key(source, join_on, other) in keys for source in scans):
            extra = f" cohort.{name}.match_file={how}" if join_on == "file" else ""
            where = f"cohort.{name}"
            lines.append(f"It would match with {where}.join_on={join_on} {where}.{join_on}={column}{extra}.")
            return "\n".join(lines)
    bare = {_row_key(row[spec.join_on], spec.join_on, spec).lstrip("0") for row in rows} - {""}
    if any(_source_key(source, spec.join_on, spec).lstrip("0") in bare for source in scans):
        lines.append(f"It would match but for leading zeros, which spreadsheets drop: write {column!r} as text.")
        return "\n".join(lines)
    lines.append(f"Check cohort.{name}.join_on (file, series, study or patient) and the column named for it.")
    return "\n".join(lines)
