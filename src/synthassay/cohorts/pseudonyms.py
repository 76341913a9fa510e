"""Keyed pseudonyms. The key and the table that leads back to the source lie outside the run, for their owner only."""

import hashlib
import hmac
import io
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthassay.cohorts.reading import write_whole
from synthassay.cohorts.specs import CohortSpec
from synthassay.errors import UserError
from synthassay.records import Quarantined

PRIVATE = 0o600
KEY_BYTES = 32
UID = re.compile(r"\d+(?:\.\d+){4,}")
DATE = re.compile(r"(?<!\d)(?:19|20)\d{2}[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])(?!\d)")


class Pseudonyms:
    """HMAC-SHA256 of source ids under one key: the same id gives the same pseudonym, and nothing without the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, *parts: str) -> str:
        """HMAC-SHA256 (hex) of ``parts``."""
        text = "\x1f".join(parts).encode("utf-8", "surrogateescape")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

    def patient(self, source_id: str) -> str:
        """``p-`` and 12 hexadecimal digits."""
        return "p-" + self.digest("patient", source_id)[:12]

    def study(self, patient: str, study: str) -> str:
        """``st-`` and 12 hexadecimal digits."""
        return "st-" + self.digest("study", patient, study)[:12]

    def scan(self, path: str, frame: int) -> str:
        """``s-`` and 12 hexadecimal digits."""
        return "s-" + self.digest("scan", path, str(frame))[:12]


def load_key(spec: CohortSpec, keys: Path) -> bytes:
    """The cohort's key, made on first use. Raises :class:`UserError` for a damaged key or one that others can read."""
    path = Path(spec.key_file).expanduser() if spec.key_file else keys / f"{spec.name}.key"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _create_key(path)
    except PermissionError as error:
        raise UserError(f"cannot write the key {path.name} of the pseudonyms into {path.parent}.\n"
                        "Choose a folder of your own with store.keys=DIR.") from error  # fmt: skip
    if path.stat().st_mode & 0o077:
        raise UserError(f"the key {path.name} of the pseudonyms can be read by others.\nRun: chmod 600 {path}")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise UserError(f"the key {path.name} of the pseudonyms is damaged: expected {2 * KEY_BYTES} "
                        "hexadecimal digits.\nRestore it from a copy, or delete it to get a new key and new "
                        "pseudonyms.")  # fmt: skip
    return key


def _create_key(path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w") as stream:
        stream.write(secrets.token_hex(KEY_BYTES) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(temporary, path)  # unlike a rename, never replaces the key of a process that was faster
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def write_private_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """A Parquet table that only its owner can read."""
    import pandas as pd

    buffer = io.BytesIO()
    pd.DataFrame(dict(columns)).to_parquet(buffer, index=False)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(path, lambda stream: stream.write(buffer.getvalue()), mode=PRIVATE)


class Redactor:
    """Takes names and ids out of paths, since folders are often called after patients and studies.

    Known identifiers are found as whole runs of words within a part of the path, whatever stands between the words;
    instance UIDs and dates are found by their form. An identifier that is in no readable header, table or BIDS name
    cannot be recognised.
    """

    def __init__(self, identifiers: Iterable[str], pseudonyms: Pseudonyms) -> None:
        self._known = {form for text in identifiers for form in _forms(text)}
        self._pseudonyms = pseudonyms

    def row(self, row: Quarantined) -> Quarantined:
        """The row with its path made safe."""
        return replace(row, path="/".join(self._part(part) for part in row.path.split("/")))

    def _part(self, part: str) -> str:
        for pattern in (UID, DATE):
            part = pattern.sub(lambda match: self._hidden(match[0]), part)
        words = list(re.finditer(r"[^\W_]+", part))
        done, start = "", 0
        while words:
            length = next((n for n in range(len(words), 0, -1) if self._is_known(words[:n])), 0)
            run = words[: length or 1]
            done += part[start : run[0].start()]
            text = part[run[0].start() : run[-1].end()]
            done += self._hidden(text) if length else text
            start, words = run[-1].end(), words[len(run) :]
        return done + part[start:]

    def _is_known(self, words: Sequence["re.Match[str]"]) -> bool:
        return "".join(word[0] for word in words).casefold() in self._known

    def _hidden(self, text: str) -> str:
        return "x-" + self._pseudonyms.digest("path", _form(text))[:8]


def _form(text: str) -> str:
    return "".join(re.findall(r"[^\W_]+", text)).casefold()


def _forms(text: str) -> set[str]:
    """How an identifier may be written in a path: all of it, and each part of a person's name."""
    words = re.findall(r"[^\W_]+", text) if "^" in text else []
    swapped = {"".join(reversed(words)).casefold()}
    return {form for form in {_form(text), *swapped, *(word.casefold() for word in words if len(word) > 2)} if form}
