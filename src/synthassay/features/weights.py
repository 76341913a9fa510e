"""Weight files: found or downloaded, and used only when their digest is the expected one."""

import contextlib
import hashlib
import os
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from synthassay.errors import UserError

_BLOCK = 1 << 20
_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedFile:
    """A file known by its digest: ``sha256`` in hex, ``size`` in bytes."""

    name: str
    url: str
    sha256: str
    size: int


def sha256_of(path: Path) -> str:
    """sha256 (hex) of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_folder() -> Path:
    """``$SYNTHASSAY_CACHE``, else ``~/.cache/synthassay``."""
    return Path(os.environ.get("SYNTHASSAY_CACHE") or "~/.cache/synthassay").expanduser()


def given_weights(pinned: PinnedFile, given: str) -> Path:
    """The file that the user named, after a check of its digest."""
    path = Path(given).expanduser()
    if not path.is_file():
        raise UserError(f"encoder.weights={given}: there is no such file.\n"
                        f"It should be {pinned.name} from {pinned.url}")  # fmt: skip
    found = sha256_of(path)
    if found != pinned.sha256:
        raise UserError(f"encoder.weights={given} is not the expected file: found sha256 {found},\n"
                        f"expected {pinned.sha256}.\n"
                        f"Get {pinned.name} from {pinned.url}")  # fmt: skip
    return path


def cached_weights(pinned: PinnedFile) -> Path | None:
    """The file in the cache, if it is there and whole."""
    path = cache_folder() / pinned.name
    return path if path.is_file() and sha256_of(path) == pinned.sha256 else None


def fetch_weights(pinned: PinnedFile) -> Path:
    """The file from the cache, downloaded into it first when it is absent or damaged.

    A download stands under its final name only once it is whole and its digest is right, so that a process that dies
    at any moment, or two that download at once, leave nothing wrong behind.
    """
    cached = cached_weights(pinned)
    if cached is not None:
        return cached
    folder = cache_folder()
    part: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, text = tempfile.mkstemp(dir=folder, prefix=f".{pinned.name}-", suffix=".part")
        part = Path(text)
        with os.fdopen(handle, "wb") as stream:
            found = _download(pinned, stream)
        if found != pinned.sha256:
            raise UserError(f"the download of {pinned.name} was damaged or replaced: found sha256 {found},\n"
                            f"expected {pinned.sha256}.\n"
                            "Try again, or give a good copy with encoder.weights=FILE.")  # fmt: skip
        return part.replace(folder / pinned.name)
    except OSError as error:
        raise UserError(f"{pinned.name} is not in {folder} and could not be fetched ({_reason(error)}).\n"
                        f"Download it from {pinned.url}\n"
                        "and add encoder.weights=FILE, or use encoder=efficientnet_lite0, which needs no download."
                        ) from error  # fmt: skip
    finally:
        if part is not None:
            with contextlib.suppress(OSError):  # gone already when it was renamed
                part.unlink(missing_ok=True)


def _download(pinned: PinnedFile, stream: IO[bytes]) -> str:
    """Write the file at the URL to ``stream`` and return its digest; reads at most one byte more than expected."""
    digest = hashlib.sha256()
    left = pinned.size + 1
    with urllib.request.urlopen(pinned.url, timeout=_TIMEOUT_S) as source:
        while left > 0 and (block := source.read(min(_BLOCK, left))):
            digest.update(block)
            stream.write(block)
            left -= len(block)
    stream.flush()
    os.fsync(stream.fileno())
    return digest.hexdigest()


def _reason(error: OSError) -> str:
    """What went wrong, in one line; a URLError hides it in ``reason``."""
    return str(getattr(error, "reason", None) or error.strerror or error).splitlines()[0]
