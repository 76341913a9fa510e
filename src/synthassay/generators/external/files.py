"""Small text files that come with an external set."""

import csv
import io
from pathlib import Path

from synthassay.errors import UserError

PATIENT_COLUMNS = ("patient", "patient_id", "patientid", "participant_id", "subject", "subject_id")
_MAX_TEXT_BYTES = 1 << 26


def read_text(path: Path, setting: str) -> io.StringIO:
    """A UTF-8 text file that a setting names, of at most 64 MiB."""
    if not path.is_file():
        raise UserError(f"{setting}={path} is not a file.")
    if path.stat().st_size > _MAX_TEXT_BYTES:
        raise UserError(f"{setting}={path} is larger than 64 MiB, which no such list is.")
    try:
        return io.StringIO(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{setting}={path} cannot be read as UTF-8 text ({type(error).__name__}).") from error


def read_trained_on(path: Path) -> tuple[str, ...]:
    """The source ids of the patients that a generator was trained on, in order, each once.

    One id a line; or a CSV or TSV file with a column called patient, patient_id, participant_id or subject. These are
    ids of the source, not pseudonyms: they must not be written anywhere.
    """
    setting = "generator.trained_on"
    text = read_text(path, setting)
    lines = list(csv.reader(text, delimiter="\t" if path.suffix.lower() in (".tsv", ".tab") else ","))
    rows = [[cell.strip() for cell in line] for line in lines if any(cell.strip() for cell in line)]
    column = 0
    if rows:
        header = [cell.casefold() for cell in rows[0]]
        named = [header.index(name) for name in PATIENT_COLUMNS if name in header]
        if named:
            column, rows = named[0], rows[1:]
        elif any(len(row) > 1 for row in rows):
            raise UserError(f"{setting}={path} has several columns, none of them called patient or patient_id.\n"
                            "Give one patient id a line, or name the column.")  # fmt: skip
    ids = tuple(dict.fromkeys(row[column] for row in rows if column < len(row) and row[column]))
    if not ids:
        raise UserError(f"{setting}={path} lists no patient.\nGive one patient id a line, as in the source data.")
    return ids
