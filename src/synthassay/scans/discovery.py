"""Which files lie under a root. Links that leave it are never followed."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from synthassay.errors import UserError
from synthassay.records import Quarantined

OUTSIDE = "the link leads out of the folder"
CLOSED = "it cannot be looked at, so what it holds is not known"
NOWHERE = ("broken link", "the link leads nowhere")


def discover(root: Path, setting: str) -> tuple[list[str], list[Quarantined]]:
    """Paths of all files under ``root``, relative with ``/``, sorted; and what is not a file that may be read.

    Links to files inside the root are followed (the layout of datalad), once per target; links to folders are not.
    A folder that cannot be listed is one row of the second list: nobody knows how many scans it holds. ``setting``
    gave the root, and is named where it is no folder.
    """
    require_folder(root, setting)
    inside = root.resolve()
    found: list[str] = []
    refused: list[Quarantined] = []
    _list_root(root, setting)
    closed_folders: list[OSError] = []
    for folder, folders, files in os.walk(root, followlinks=False, onerror=closed_folders.append):
        closed = set()
        for name in [*folders, *files]:
            path = Path(folder) / name
            relative = path.relative_to(root).as_posix()
            reason = _why_not(path, inside)
            if reason:
                closed.add(name)
                refused.append(Quarantined(path=_shown(relative), field="file", found=reason[0], reason=reason[1]))
            elif name in files:
                found.append(relative)
        folders[:] = [name for name in folders if name not in closed]
    refused += [_closed(root, error) for error in closed_folders]
    return _without_doubles(root, sorted(found), refused)


def require_folder(root: Path, setting: str) -> None:
    """Raises :class:`UserError`, which names the ``setting`` that gave the ``root``, where it is no folder."""
    if not root.is_dir():
        raise UserError(f"{setting}={root} is not a folder.\nGive the folder that holds the images.")


def _list_root(root: Path, setting: str) -> None:
    try:
        os.scandir(root).close()
    except OSError as error:
        raise UserError(f"{setting}={root} cannot be read: {error.strerror}.\n"
                        "Make the folder readable for you, with its subfolders.") from error  # fmt: skip


def _closed(root: Path, error: OSError) -> Quarantined:
    path = _shown(Path(error.filename).relative_to(root).as_posix())
    return Quarantined(path=path, field="folder", found=_named(error), reason=CLOSED)


def _named(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _shown(path: str) -> str:
    """A path that may hold bytes that are no text, as text."""
    return path.encode("utf-8", "replace").decode()


def _why_not(path: Path, inside: Path) -> tuple[str, str] | None:
    """(found, reason) for an entry that is not read; None for a regular file or an ordinary folder."""
    try:
        if path.name.startswith("."):
            return "hidden", "hidden files and folders are not read"
        path.name.encode()
        if path.is_symlink():
            target = path.resolve(strict=True)
            if not target.is_relative_to(inside):
                return "link", OUTSIDE
            if target.is_dir():
                return "link", "a link to a folder is not followed"
        mode = path.stat().st_mode
    except UnicodeEncodeError:
        return "file name", "the name is not valid UTF-8"
    except RuntimeError:  # links in a circle, before Python 3.13
        return NOWHERE
    except OSError as error:
        return NOWHERE if error.errno in (errno.ENOENT, errno.ELOOP) else (_named(error), CLOSED)
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        return "special file", "not a regular file"
    return None


def _without_doubles(root: Path, found: list[str], refused: list[Quarantined]) -> tuple[list[str], list[Quarantined]]:
    """Drop links to files that are found under their own name as well."""
    links = [path for path in found if (root / path).is_symlink()]
    seen = {os.path.realpath(root / path) for path in set(found) - set(links)}
    for path in links:
        target = os.path.realpath(root / path)
        if target in seen:
            found.remove(path)
            reason = "the file is read under another name"
            refused.append(Quarantined(path=path, field="file", found="link", reason=reason))
        seen.add(target)
    return found, sorted(refused, key=lambda row: row.path)


def fingerprint(root: Path, setting: str, tables: Iterable[tuple[str, Path]] = ()) -> str:
    """sha256 (hex) over path, size and modification time of every file under ``root``, and of tables by their names.

    Cheap: nothing is opened. Raises :class:`UserError` where the root is missing.
    """
    digest = hashlib.sha256()
    for path in discover(root, setting)[0]:
        digest.update(f"{path}\0{_stamp(root / path)}\n".encode("utf-8", "surrogateescape"))
    for name, file in tables:
        digest.update(f"{name}\0{_stamp(file)}".encode())
    return digest.hexdigest()


def _stamp(file: Path) -> str:
    status = file.stat()
    return f"{status.st_size}\0{status.st_mtime_ns}"
