"""Weight files: found or downloaded, used only when their digest is the expected one, and read without unpickling."""

import hashlib
import os
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from synthassay.errors import UserError
from synthassay.whole_files import replacing

_BLOCK = 1 << 20
_TIMEOUT_S = 30
_LARGEST = 4 << 30  # bytes that are read of a file whose size is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedFile:
    """A file known by its digest: ``sha256`` in hex, ``size`` in bytes (None: not known).

    ``url`` is the file itself or, when it is not ``direct``, the page that leads to it (it lies in an archive).
    """

    name: str
    url: str
    sha256: str
    size: int | None = None
    direct: bool = True


def sha256_of(path: Path) -> str:
    """sha256 (hex) of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_folder() -> Path:
    """``$SYNTHASSAY_CACHE``, else ``~/.cache/synthassay``."""
    return Path(os.environ.get("SYNTHASSAY_CACHE") or "~/.cache/synthassay").expanduser()


def found_weights(pinned: PinnedFile, given: str | None, sha256: str | None = None) -> tuple[Path, str]:
    """The weights file to use and its digest.

    ``given`` is the user's path (None: from the cache, downloaded into it if absent). It has to be the pinned file,
    unless ``sha256`` says which other file is meant: other weights are never used by accident.
    """
    if given is not None:
        return given_weights(pinned, given, sha256), sha256 or pinned.sha256
    if sha256 is not None:
        raise UserError("encoder.sha256 names weights of your own, so it needs encoder.weights=FILE too; "
                        "leave both out for the published ones")  # fmt: skip
    return fetch_weights(pinned), pinned.sha256


def given_weights(pinned: PinnedFile, given: str, sha256: str | None = None) -> Path:
    """The file that the user named, after a check of its digest: ``sha256``, else that of the pinned file."""
    path = Path(given).expanduser()
    if not path.is_file():
        raise UserError(f"encoder.weights={given}: there is no such file.\n"
                        f"It should be {pinned.name} from {pinned.url}")  # fmt: skip
    found = sha256_of(path)
    if found != (sha256 or pinned.sha256):
        raise UserError(f"encoder.weights={given} is not the expected file: found sha256 {found},\n"
                        f"expected {sha256 or pinned.sha256}.\n"
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
    if not pinned.direct:
        raise UserError(f"{pinned.name} is not in {folder}, and its publisher offers it inside an archive only.\n"
                        f"Get it from {pinned.url}\n"
                        "and put it there, or add encoder.weights=FILE.")  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / pinned.name) as part:
            with part.open("wb") as stream:
                found = _download(pinned, stream)
            if found != pinned.sha256:
                raise UserError(f"the download of {pinned.name} was damaged or replaced: found sha256 {found},\n"
                                f"expected {pinned.sha256}.\n"
                                "Try again, or give a good copy with encoder.weights=FILE.")  # fmt: skip
        return folder / pinned.name
    except OSError as error:
        raise UserError(f"{pinned.name} is not in {folder} and could not be fetched ({_reason(error)}).\n"
                        f"Download it from {pinned.url}\n"
                        "and add encoder.weights=FILE, or use encoder=efficientnet_lite0, which needs no download."
                        ) from error  # fmt: skip


def _download(pinned: PinnedFile, stream: IO[bytes]) -> str:
    """Write the file at the URL to ``stream`` and return its digest; reads at most one byte more than expected."""
    digest = hashlib.sha256()
    left = (_LARGEST if pinned.size is None else pinned.size) + 1
    request = urllib.request.Request(pinned.url, headers={"User-Agent": "synthassay"})  # Python's own name is refused
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as source:  # by some servers
        while left > 0 and (block := source.read(min(_BLOCK, left))):
            digest.update(block)
            stream.write(block)
            left -= len(block)
    return digest.hexdigest()


def _reason(error: OSError) -> str:
    """What went wrong, in one line; a URLError hides it in ``reason``."""
    return str(getattr(error, "reason", None) or error.strerror or error).splitlines()[0]


def read_tensors(path: Path) -> dict[str, Any]:
    """What a safetensors file or a torch checkpoint holds, on the CPU: tensors by name, in a checkpoint also nested.

    Nothing in the file is executed. Raises :class:`~synthassay.errors.UserError` when it holds anything but weights.
    """
    import torch
    from safetensors.torch import load_file

    with path.open("rb") as stream:
        is_safetensors = stream.read(9)[8:] == b"{"  # a header in JSON after eight bytes with its length
    try:
        if is_safetensors:
            return load_file(path)
        # Mapped, so that what is not used, such as the other half of a CLIP, is never read; old files cannot be.
        return dict(torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)))
    except Exception as error:  # a damaged file fails in as many ways as there are formats
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(f"{path.name} cannot be read as weights ({reason}).\n"
                        "It has to be a safetensors file, or a torch file that holds tensors only."
                        ) from error  # fmt: skip
