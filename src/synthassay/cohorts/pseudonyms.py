"""Keyed pseudonyms. The key and the table that leads back to the source lie outside the run, for their owner only."""

import hashlib
import hmac
import io
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthassay.cohorts.specs import CohortSpec
from synthassay.errors import UserError
from synthassay.records import Quarantined
from synthassay.scans.text import known_suffix
from synthassay.whole_files import PRIVATE, write_whole

KEY_BYTES = 32


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

    def quarantined(self, row: Quarantined) -> Quarantined:
        """``row`` with ``f-``, 12 hexadecimal digits and the file's known suffix in place of its path.

        Folders and files are often called after patients and studies, in more ways than can be recognised.
        """
        return replace(row, path="f-" + self.digest("file", row.path)[:12] + known_suffix(row.path))


def load_key(spec: CohortSpec, keys: Path) -> bytes:
    """The cohort's key, made on first use. Raises :class:`UserError` for a damaged key or one that others can read."""
    path = Path(spec.key_file).expanduser() if spec.key_file else keys / f"{spec.name}.key"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _create_key(path)
    except PermissionError as error:
        raise UserError(f"cannot write the key {path.name} of the pseudonyms into {path.parent}.\n"
                        "Choose a folder of your own with store.keyring=DIR.") from error  # fmt: skip
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
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
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
    write_whole(path, buffer.getvalue(), PRIVATE)
