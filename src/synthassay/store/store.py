"""The store: finished stages by key, shared by runs and sweep cells.

Layout under the root::

    <stage>/<key>/          one finished stage; key.json, outputs.json and provenance.json beside its outputs
    partial/<stage>-<key>/  work under way, kept across kills; the stage continues from what it finds there
    locks/<stage>-<key>     advisory locks, so that two sweep cells never build the same stage at once

A stage is finished when its folder exists: the folder is renamed into place after everything in it was flushed.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthassay.errors import UserError
from synthassay.specs import canonical_json, digest_of
from synthassay.store.files import disk_errors_explained, file_digest, write_json
from synthassay.store.provenance import Stopwatch, provenance
from synthassay.whole_files import sync

RECORDS = ("key.json", "outputs.json", "provenance.json")
ELAPSED = ".elapsed.json"


@dataclass(frozen=True, slots=True)
class StageKey:
    """What decides a stage's output: its name and version, its spec, and the content of its inputs; never a path."""

    stage: str
    version: int
    spec: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The key as plain JSON."""
        return {"stage": self.stage, "version": self.version, "spec": dict(self.spec), "inputs": dict(self.inputs)}

    @property
    def digest(self) -> str:
        """24 hex characters of the sha256 of the canonical JSON."""
        return digest_of(self.to_json())[:24]


@dataclass(frozen=True, slots=True)
class StageOutput:
    """A finished stage."""

    key: StageKey
    path: Path
    found_done: bool

    @property
    def content_id(self) -> str:
        """Digest over the output files' names and bytes."""
        return digest_of(json.loads((self.path / "outputs.json").read_text()))

    @property
    def provenance(self) -> dict[str, Any]:
        """The provenance record."""
        record: dict[str, Any] = json.loads((self.path / "provenance.json").read_text())
        return record


class Store:
    """Finds, builds and commits stages under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with disk_errors_explained(root):  # it holds scans: nobody else on the machine needs to read it
            root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def find(self, key: StageKey) -> StageOutput | None:
        """The finished stage of ``key``, or None. A folder of this name with another key in it is an error."""
        path = self.root / key.stage / key.digest
        if not path.is_dir():
            return None
        held = json.loads((path / "key.json").read_text())
        if canonical_json(held) != canonical_json(key.to_json()):
            raise UserError(
                f"{path} holds another stage than its name says (its key.json was changed).\n"
                "Remove that folder and run the same command again."
            )
        return StageOutput(key, path, found_done=True)

    def run(self, key: StageKey, build: Callable[[Path], None], *, shared: bool = False) -> StageOutput:
        """The finished stage of ``key``; ``build(workdir)`` makes or continues it when it is absent.

        ``workdir`` outlives a killed process: what ``build`` left there is found by the next attempt. Names that
        begin with a dot are scratch and are dropped at the commit. ``shared`` says that ``build`` can be called by
        several processes at once, of a team; to this store it means nothing.
        """
        found = self.find(key)
        if found is not None:
            return found
        with disk_errors_explained(self.root), self._locked(key):
            found = self.find(key)  # another process may have finished it while this one waited
            if found is not None:
                return found
            workdir = self.root / "partial" / f"{key.stage}-{key.digest}"
            workdir.mkdir(parents=True, exist_ok=True)
            watch = Stopwatch(before=_elapsed(workdir))
            try:
                build(workdir)
            except BaseException:
                with contextlib.suppress(OSError):
                    write_json(workdir / ELAPSED, watch.seconds())
                raise
            return self._commit(key, workdir, watch.seconds())

    def _commit(self, key: StageKey, workdir: Path, seconds: float) -> StageOutput:
        _drop_scratch(workdir)
        files = sorted(p for p in workdir.rglob("*") if p.is_file() and p.name not in RECORDS)
        write_json(workdir / "outputs.json", {p.relative_to(workdir).as_posix(): file_digest(p) for p in files})
        write_json(workdir / "key.json", key.to_json())
        write_json(workdir / "provenance.json", provenance(seconds))
        for path in files:
            sync(path)
        final = self.root / key.stage / key.digest
        final.parent.mkdir(parents=True, exist_ok=True)
        os.replace(workdir, final)
        sync(final.parent)
        return StageOutput(key, final, found_done=False)

    @contextlib.contextmanager
    def _locked(self, key: StageKey) -> Iterator[None]:
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{key.stage}-{key.digest}").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _drop_scratch(folder: Path) -> None:
    for path in list(folder.iterdir()):
        if path.is_dir():
            shutil.rmtree(path) if path.name.startswith(".") else _drop_scratch(path)
        elif path.name.startswith("."):
            path.unlink()


def _elapsed(workdir: Path) -> float:
    try:
        return float(json.loads((workdir / ELAPSED).read_text()))
    except (OSError, ValueError):
        return 0.0


def safe_name(text: str) -> str:
    """``text`` as part of a file name: letters, digits, dot, dash and underscore."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "unnamed"
