"""What a BIDS data set says about a scan beside its voxels: names, sidecars and small tables.

https://bids-specification.readthedocs.io. Only paths that were found under the root are opened, so no link can lead out
of it.
"""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

MAX_BYTES = 1 << 20  # of a sidecar or a table of sessions


def stem_of(path: str) -> str:
    """The file name without what follows its first dot, as BIDS reads names."""
    return PurePosixPath(path).name.partition(".")[0]


def entity(path: str, name: str) -> str | None:
    """A BIDS entity of a path with its prefix, for example ``sub-01``."""
    match = re.search(rf"(?:^|/)({name}-[A-Za-z0-9]+)(?=[/_.])", path)
    return match[1] if match else None


def suffix_in(path: str) -> str | None:
    """What a BIDS name ends with, which says what kind of scan it is: ``T1w``, ``bold``; None of another name."""
    entities, suffix = _parts(stem_of(path))
    named = entities is not None and any(part.startswith("sub-") for part in entities)
    return suffix if named and re.fullmatch(r"[A-Za-z0-9]{1,16}", suffix) else None


class BidsFolder:
    """The files of one data set. ``paths`` are relative to ``root``, with ``/``."""

    def __init__(self, root: Path, paths: Iterable[str]) -> None:
        self._root = root
        self._known = frozenset(paths)
        self._sidecars: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self._known):
            if path.endswith(".json"):
                self._sidecars[PurePosixPath(path).parent.as_posix()].append(path)
        self._json = lru_cache(maxsize=4096)(self._read_json)
        self._table = lru_cache(maxsize=4096)(self._read_table)

    def sidecars(self, path: str) -> list[str]:
        """Sidecars that apply to ``path`` by the inheritance principle, from the root's down to its own."""
        own, suffix = _parts(stem_of(path))
        found = []
        for folder in reversed(PurePosixPath(path).parents):
            for candidate in self._sidecars.get(folder.as_posix(), ()):
                entities, last = _parts(stem_of(candidate))
                inherited = last == suffix and own is not None and entities is not None and entities <= own
                if inherited or stem_of(candidate) == stem_of(path):
                    found.append(candidate)
        return sorted(found, key=lambda candidate: (candidate.count("/"), stem_of(candidate).count("_")))

    def facts(self, path: str) -> dict[str, Any]:
        """The fields of all sidecars of ``path``; what is nearer to it goes before what is farther."""
        merged: dict[str, Any] = {}
        for sidecar in self.sidecars(path):
            merged |= self._json(sidecar)
        return merged

    def session_row(self, path: str) -> Mapping[str, str]:
        """The row of ``sub-*_sessions.tsv`` about the session of ``path``; empty where there is none."""
        subject, session = entity(path, "sub"), entity(path, "ses")
        if not subject or not session:
            return {}
        table = (_folder_of(path, subject) / f"{subject}_sessions.tsv").as_posix()
        rows = self._table(table) if table in self._known else ()
        return next((row for row in rows if row.get("session_id") in (session, session.removeprefix("ses-"))), {})

    def scan_row(self, path: str) -> Mapping[str, str]:
        """The row of ``*_scans.tsv`` about the file ``path``; empty where there is none."""
        subject, session = entity(path, "sub"), entity(path, "ses")
        if not subject:
            return {}
        folder = _folder_of(path, subject)
        place = folder / session if session and f"/{session}/" in f"/{path}" else folder
        name = f"{subject}_{session}" if session else subject
        table = (place / f"{name}_scans.tsv").as_posix()
        rows = self._table(table) if table in self._known else ()
        return next((row for row in rows if (place / row.get("filename", "")).as_posix() == path), {})

    def tables(self, path: str) -> list[str]:
        """Paths of the two tables that may speak of ``path``, of those that exist."""
        subject, session = entity(path, "sub"), entity(path, "ses")
        if not subject:
            return []
        folder = _folder_of(path, subject)
        names = [folder / f"{subject}_sessions.tsv", folder / f"{subject}_scans.tsv"]
        if session:
            names.append(folder / session / f"{subject}_{session}_scans.tsv")
        return [name.as_posix() for name in names if name.as_posix() in self._known]

    def _text(self, path: str) -> str:
        """A small text file; empty where it cannot be read: it only adds facts, which then are missing."""
        file = self._root / path
        try:
            return file.read_text(encoding="utf-8-sig") if file.stat().st_size <= MAX_BYTES else ""
        except (OSError, ValueError):
            return ""

    def _read_json(self, path: str) -> dict[str, Any]:
        try:
            facts = json.loads(self._text(path))
        except (ValueError, RecursionError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def _read_table(self, path: str) -> tuple[Mapping[str, str], ...]:
        try:
            rows = list(csv.DictReader(io.StringIO(self._text(path)), delimiter="\t", quoting=csv.QUOTE_NONE))
        except csv.Error:
            return ()
        return tuple({str(k): v.strip() for k, v in row.items() if isinstance(v, str)} for row in rows)


def _parts(stem: str) -> tuple[frozenset[str] | None, str]:
    """Entities and suffix of a BIDS name; None in place of entities where the name is not built like one."""
    *parts, suffix = stem.split("_")
    wellformed = all(re.fullmatch(r"[A-Za-z]+-[A-Za-z0-9+]+", part) for part in parts)
    return (frozenset(parts) if wellformed else None), suffix


def _folder_of(path: str, subject: str) -> PurePosixPath:
    """The folder ``sub-*`` that holds ``path``, also in the derivatives; else the file's own."""
    for folder in PurePosixPath(path).parents:
        if folder.name == subject:
            return folder
    return PurePosixPath(path).parent
