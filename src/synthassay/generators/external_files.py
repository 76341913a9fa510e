"""Which files of an external set may be opened, and the small text files that come with it."""

import csv
import io
import os
import stat
from pathlib import Path

from synthassay.errors import UserError
from synthassay.records import Quarantined

PATIENT_COLUMNS = ("patient", "patient_id", "patientid", "participant_id", "subject", "subject_id")
_MAX_TEXT_BYTES = 1 << 26


def discover(root: Path) -> tuple[list[str], list[Quarantined]]:
    """Paths of the regular files under ``root``, relative with ``/`` and sorted; and what else lies there.

    A link is followed to a file inside the root only; hidden files and folders are left alone.
    """
    if not root.is_dir():
        raise UserError(f"generator.root={root} is not a folder.\nGive the folder that holds the synthetic images.")
    inside = root.resolve()
    found: list[str] = []
    refused: list[Quarantined] = []
    for folder, folders, names in os.walk(root, followlinks=False, onerror=_unreadable_folder):
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = [name for name in folders if not name.startswith(".") and name not in linked]
        for name in [*names, *linked]:
            path = Path(folder) / name
            if name.startswith("."):
                continue
            reason = _why_not(path, inside)
            relative = path.relative_to(root).as_posix()
            if reason is None:
                found.append(relative)
            else:
                refused.append(Quarantined(path=relative, field="file", found=reason[0], reason=reason[1]))
    return sorted(found), refused


def _unreadable_folder(error: OSError) -> None:
    raise UserError(
        f"a folder under generator.root cannot be read ({error.strerror}).\nMake the whole folder readable."
    )


def _why_not(path: Path, inside: Path) -> tuple[str, str] | None:
    """(found, reason) for what must not be opened: links out, pipes and devices, which could hang or leak."""
    try:
        if path.is_symlink() and not path.resolve(strict=True).is_relative_to(inside):
            return "link", "the link leads out of generator.root"
        mode = path.stat().st_mode
    except (OSError, RuntimeError):
        return "broken link", "the link leads nowhere"
    return None if stat.S_ISREG(mode) else ("special file", "not a regular file")


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
