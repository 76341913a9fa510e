"""The files of a pretrained generator: a folder or a zip, read by name and within limits. Nothing is extracted."""

import hashlib
import os
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from synthassay.errors import UserError

WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
USED = (*WEIGHTS, ".json", ".yaml", ".yml")  # what decides the images; a README does not
_MAX_ENTRIES = 10_000
_MAX_RATIO = 100  # weights hardly shrink; a file that shrank more than this is a bomb
_MIN_SUSPECT = 1 << 20  # bytes; smaller ones can do no harm


class Files(Protocol):
    """Files by their names, relative with ``/`` and sorted."""

    @property
    def names(self) -> tuple[str, ...]:
        """The files that may be read."""

    def read(self, name: str, max_bytes: int) -> bytes:
        """The content of ``name``; :class:`~synthassay.errors.UserError` when it is larger than ``max_bytes``."""

    def digest(self) -> str:
        """sha256 (hex) of everything that decides the images."""


def open_files(path: str | None) -> Files:
    """The folder or zip that ``generator.path`` names."""
    if path is None:
        raise UserError("generator.path is not set.\nGive the folder or file of the pretrained generator.")
    place = Path(path).expanduser()
    if place.is_dir():
        return FolderFiles.of(place)
    if not place.is_file():
        raise UserError(f"generator.path={path}: there is no such file or folder.")
    return ZippedFiles.of(place)


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """The regular files under ``root``."""

    root: Path
    names: tuple[str, ...]

    @classmethod
    def of(cls, root: Path) -> "FolderFiles":
        """Everything under ``root``; a link that leads out of it is an error."""
        inside = root.resolve()
        found: list[str] = []
        for folder, folders, names in os.walk(root, followlinks=False):
            linked = [name for name in folders if (Path(folder) / name).is_symlink()]
            folders[:] = [name for name in folders if not name.startswith(".") and name not in linked]
            for name in [*names, *linked]:
                path = Path(folder) / name
                relative = path.relative_to(root).as_posix()
                if path.is_symlink() and not path.resolve().is_relative_to(inside):
                    raise UserError(f"{relative} in generator.path is a link that leads out of the folder.\n"
                                    "Copy the folder with its files in place of links (cp -rL) and give the copy."
                                    )  # fmt: skip
                if name not in linked and not name.startswith(".") and path.is_file():
                    found.append(relative)
        return cls(root, tuple(sorted(found)))

    def read(self, name: str, max_bytes: int) -> bytes:
        """See :meth:`Files.read`."""
        with (self.root / name).open("rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{name} in generator.path is not a regular file.")
            _within(name, status.st_size, max_bytes)
            return stream.read(max_bytes)

    def digest(self) -> str:
        """See :meth:`Files.digest`."""
        whole = hashlib.sha256()
        for name in self.names:
            if name.lower().endswith(USED):
                with (self.root / name).open("rb") as stream:
                    content = hashlib.file_digest(stream, "sha256").hexdigest()
                whole.update(f"{name}\0{content}\n".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class ZippedFiles:
    """The entries of a zip, without the one folder that may hold them all."""

    path: Path
    entries: dict[str, zipfile.ZipInfo]

    @classmethod
    def of(cls, path: Path) -> "ZippedFiles":
        """The entries of the zip at ``path``; a name that leads out of it, a link or a bomb is an error."""
        try:
            with zipfile.ZipFile(path) as archive:
                listed = [info for info in archive.infolist() if not info.is_dir()]
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
            raise UserError("generator.path is neither a folder nor a whole zip file.\n"
                            "Download it again, or give the unpacked folder.") from error  # fmt: skip
        if len(listed) > _MAX_ENTRIES:
            raise UserError(
                f"the zip at generator.path has {len(listed):,} entries; at most {_MAX_ENTRIES:,} are read."
            )
        for info in listed:
            _check_entry(info)
        tops = {PurePosixPath(info.filename).parts[0] for info in listed}
        drop = len(tops) == 1 and all(len(PurePosixPath(info.filename).parts) > 1 for info in listed)
        entries = {"/".join(PurePosixPath(info.filename).parts[drop:]): info for info in listed}
        return cls(path, dict(sorted(entries.items())))

    @property
    def names(self) -> tuple[str, ...]:
        """See :attr:`Files.names`."""
        return tuple(self.entries)

    def read(self, name: str, max_bytes: int) -> bytes:
        """See :meth:`Files.read`."""
        info = self.entries[name]
        _within(name, info.file_size, max_bytes)
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(info) as stream:
                return stream.read(info.file_size)  # its checksum is compared at the end
        except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, OSError) as error:
            raise UserError(f"{name} in the zip at generator.path is damaged or encrypted.\n"
                            "Download it again, or give the unpacked folder.") from error  # fmt: skip

    def digest(self) -> str:
        """See :meth:`Files.digest`."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_entry(info: zipfile.ZipInfo) -> None:
    path = PurePosixPath(info.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise UserError("the zip at generator.path has an entry whose name leads out of it.\n"
                        "Such files are made to overwrite others; get the model from somewhere else.")  # fmt: skip
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UserError("the zip at generator.path has a link among its entries; links are not followed.")
    if info.file_size > max(_MIN_SUSPECT, _MAX_RATIO * info.compress_size):
        raise UserError(f"the zip at generator.path has an entry that unfolds to {info.file_size:,} bytes from "
                        f"{info.compress_size:,}.\nNo weights shrink so far; nothing was unpacked.")  # fmt: skip


def _within(name: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise UserError(f"{name} in generator.path has {size:,} bytes, more than generator.max_bytes={max_bytes:,}.\n"
                        "Raise the limit if the file is what you expect.")  # fmt: skip


def printable(name: str) -> str:
    """A name from a file of others, safe to print: escaped and short."""
    return name.encode("unicode_escape").decode()[:100]
