"""Feature files and a table of groups → the records that scoring takes."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthassay.cli.feature_files import FeatureFile, Text
from synthassay.cli.score_files import CONTROL, REAL, SYNTHETIC, TRAIN, UNNAMED
from synthassay.errors import UserError
from synthassay.metrics.intervals import unit_codes
from synthassay.records import (
    GROUP_COLUMNS,
    MISSING,
    UNLABELLED,
    FeatureSet,
    Identity,
    Origin,
    content_digest,
    identity,
)
from synthassay.seeding import numpy_generator

LABEL = "label"
_ORIGINS: Mapping[str, Origin] = {REAL: "real", SYNTHETIC: "external", CONTROL: "real", TRAIN: "real"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """What is known of images by id. ``lines``: line in the file of each id; ``cells[column]``: text by id."""

    name: str
    lines: Mapping[str, int]
    cells: Mapping[str, Mapping[str, str]]
    unused: tuple[str, ...] = ()  # columns that are not read


def read_groups(path: Path) -> GroupTable:
    """Read a comma-separated table with the column ``id`` and any of label, site, device, view, sex, age_band."""
    if not path.is_file():
        raise UserError(f"{path} is not a file; --groups takes a table with the column 'id'")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            heads = [head.strip() for head in next(reader, [])]
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path.name} cannot be read as comma-separated UTF-8: {error}") from error
    columns = [column for column in (LABEL, *GROUP_COLUMNS) if column in heads]
    if "id" not in heads or not columns or len(set(heads)) < len(heads):
        raise UserError(f"{path.name} needs the column 'id' and one or more of {', '.join((LABEL, *GROUP_COLUMNS))}, "
                        f"each once and separated by commas; it has: {', '.join(heads)[:200]}")  # fmt: skip
    lines: dict[str, int] = {}
    for line, row in rows:
        if len(row) != len(heads):
            raise UserError(f"{path.name} has {len(row)} cells in line {line} and {len(heads)} columns")
        key = row[heads.index("id")]
        if not key or key in lines:
            why = f"repeats the id of line {lines[key]}" if key else "has no id"
            raise UserError(f"line {line} of {path.name} {why}; each image has one line")
        lines[key] = line
    cells = {c: {row[heads.index("id")]: row[heads.index(c)] for _, row in rows} for c in columns}
    unused = tuple(head for head in heads if head not in ("id", *columns))
    return GroupTable(name=path.name, lines=lines, cells=cells, unused=unused)


def join_notes(files: Mapping[str, FeatureFile], table: GroupTable) -> list[str]:
    """How many rows the table describes, one sentence a file, and what of the table is not used.

    An error where it describes none, or where a line matches rows of two files, which would be a guess.
    """
    owner: dict[str, str] = {}
    notes = []
    for file in files.values():
        matched = [key for key in ([] if file.ids is None else file.ids.tolist()) if key in table.lines]
        for key in matched:
            if key in owner:
                raise UserError(f"line {table.lines[key]} of {table.name} describes a row of {owner[key]} and one of "
                                f"{file.name}.\nGive the images of each file ids of their own.")  # fmt: skip
            owner[key] = file.name
        notes.append(f"{table.name} describes {len(matched):,} of {len(file):,} rows of {file.name}"
                     + ("" if file.ids is not None else ", which has no 'ids'"))  # fmt: skip
    if not owner:
        raise UserError(f"{table.name} describes no row of {', '.join(file.name for file in files.values())}.\n"
                        "Its column 'id' must hold what the key 'ids' of the feature files holds.")  # fmt: skip
    if len(owner) < len(table.lines):
        notes.append(f"{len(table.lines) - len(owner):,} lines of {table.name} match no row")
    if table.unused:
        notes.append(f"{table.name}: columns that are not read: {', '.join(table.unused)}")
    return notes


def feature_sets(
    files: Mapping[str, FeatureFile], table: GroupTable | None, *, encoder: str, subject: str
) -> dict[str, FeatureSet]:
    """A record for each role in ``files``; ``subject`` is the name of the synthetic set.

    Without patients each row is its own. An unnamed encoder is known by the digest of the real features, so that its
    values are comparable only with those against the same file.
    """
    real = files[REAL]
    for file in files.values():
        if file.features.shape[1] != real.features.shape[1]:
            raise UserError(f"{real.name} has {real.features.shape[1]:,} columns and {file.name} "
                            f"{file.features.shape[1]:,}; encode both with one encoder")  # fmt: skip
    label_texts = {role: _labels(file, table) for role, file in files.items()}
    names = tuple(sorted({text for texts in label_texts.values() for text in texts.tolist()} - {MISSING}))
    known = encoder != UNNAMED
    made_by = identity(source="feature file", **{} if known else {"digest": content_digest(real.features)[:16]})
    return {
        role: _feature_set(file, role, label_texts[role], names, _groups(file, table), (encoder, made_by), subject)
        for role, file in files.items()
    }


def _feature_set(
    file: FeatureFile, role: str, labels: Text, label_names: tuple[str, ...], groups: Mapping[str, Text],
    encoder: tuple[str, Identity], subject: str,
) -> FeatureSet:  # fmt: skip
    rows = np.arange(len(file)).astype(np.str_)
    codes = {name: code for code, name in enumerate(label_names)} | {MISSING: UNLABELLED}
    return with_content_id(FeatureSet(
        name=subject if role == SYNTHETIC else file.name, origin=_ORIGINS[role], features=file.features,
        ids=rows if file.ids is None else file.ids, patients=rows if file.patients is None else file.patients,
        labels=np.array([codes[text] for text in labels.tolist()], np.int64), label_names=label_names,
        encoder=encoder[0], encoder_identity=encoder[1], groups=groups,
    ))  # fmt: skip


def with_content_id(item: FeatureSet) -> FeatureSet:
    """``item`` with the digest of its features, labels and groups, and of who shares a patient (not of names)."""
    names = np.array([*item.label_names, MISSING], np.str_)
    columns = [item.groups[column] for column in sorted(item.groups)]
    digest = content_digest(item.features, names[item.labels], unit_codes(item.patients), *columns,
                            np.array(sorted(item.groups), np.str_))  # fmt: skip
    return replace(item, content_id=digest)


def _labels(file: FeatureFile, table: GroupTable | None) -> Text:
    """Labels of the file, completed by the table; an error where the two disagree."""
    own = np.full(len(file), MISSING, np.str_) if file.labels is None else file.labels
    told = _column(file, table, LABEL)
    if told is None:
        return own
    clash = (own != told) & (own != MISSING) & (told != MISSING)
    if clash.any():
        row = int(clash.argmax())
        raise UserError(f"row {row} of {file.name} has the label {str(own[row])!r}, the table of groups says "
                        f"{str(told[row])!r}; correct one of them")  # fmt: skip
    return np.where(own == MISSING, told, own)


def _groups(file: FeatureFile, table: GroupTable | None) -> dict[str, Text]:
    found = {column: _column(file, table, column) for column in GROUP_COLUMNS}
    return {column: values for column, values in found.items() if values is not None}


def _column(file: FeatureFile, table: GroupTable | None, column: str) -> Text | None:
    """``[n]`` values of a column for the rows of ``file``; None where the table says nothing of them."""
    if table is None or file.ids is None or column not in table.cells:
        return None
    values = np.array([table.cells[column].get(key, MISSING) for key in file.ids.tolist()], np.str_)
    return values if (values != MISSING).any() else None


def check_disjoint(files: Mapping[str, FeatureFile]) -> list[str]:
    """An error where two real files share a patient, or are one; sentences on equal rows, which may be chance."""
    real = [files[role] for role in (REAL, CONTROL, TRAIN) if role in files]
    notes = []
    for i, first in enumerate(real):
        for second in real[i + 1 :]:
            what = f"{first.name} and {second.name}"
            shared = _shared_patients(first, second)
            if shared:
                raise UserError(f"{what} share {shared:,} patients; each must hold patients of its own.\n"
                                "A patient on both sides makes real images look alike and copies look honest."
                                )  # fmt: skip
            equal = _equal_rows(first.features, second.features)
            if equal == len(second):
                raise UserError(f"{what} hold the same features; each must hold patients of its own")
            if equal:
                notes.append(f"{equal:,} rows of {second.name} equal rows of {first.name} exactly")
    return notes


def _shared_patients(first: FeatureFile, second: FeatureFile) -> int:
    if first.patients is None or second.patients is None:
        return 0
    return len(set(first.patients.tolist()) & set(second.patients.tolist()))


def _equal_rows(first: NDArray[np.float32], second: NDArray[np.float32]) -> int:
    """Rows of ``second`` that ``first`` also holds, by hash."""
    held = {hash(row.tobytes()) for row in first}
    return sum(hash(row.tobytes()) in held for row in second)


def halved(real: FeatureSet, seed: int) -> tuple[FeatureSet, FeatureSet]:
    """Two sets of disjoint patients, drawn by ``seed``: the reference (the larger half) and the control."""
    codes = unit_codes(real.patients)
    order = numpy_generator("score", "halves", seed).permutation(int(codes.max()) + 1)
    control = np.isin(codes, order[: len(order) // 2])
    kept, drawn = real.take(~control), real.take(control, name=f"half of {real.name}")
    return with_content_id(kept), with_content_id(drawn)


def columns_of(sets: Sequence[FeatureSet]) -> tuple[str, ...]:
    """The columns by which any set can be grouped."""
    labelled = any((item.labels != UNLABELLED).any() for item in sets)
    return (*((LABEL,) if labelled else ()), *(c for c in GROUP_COLUMNS if any(c in item.groups for item in sets)))
