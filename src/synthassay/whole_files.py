"""Files that are whole or absent: a reader sees the old content or the new, never half of either."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

PRIVATE = 0o600  # nobody but the owner reads or writes it
SHARED = 0o666  # less what the umask takes


@contextlib.contextmanager
def replacing(path: Path, mode: int = SHARED, *, durable: bool = False) -> Iterator[Path]:
    """An empty file beside ``path`` that becomes ``path`` when the block ends well, and is removed when it does not.

    It is created anew with ``mode``, under a name that nobody can foresee: what somebody else left in the folder, a
    link to another file among it, is never written to. A killed process leaves it; it begins with a dot and ends in
    ``.tmp``. ``durable``: see :func:`put_in_place`.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        yield temporary
        put_in_place(temporary, path, durable=durable)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes, mode: int = SHARED, *, durable: bool = False) -> None:
    """``content`` as the file ``path``; see :func:`replacing`."""
    with replacing(path, mode, durable=durable) as temporary:
        temporary.write_bytes(content)


def put_in_place(temporary: Path, path: Path, *, durable: bool = False) -> None:
    """Flush ``temporary``, a file in the folder of ``path``, to the disk and rename it.

    After a power cut ``path`` is the old file or the new one. ``durable`` flushes the folder too, so that it is the new
    one, which takes several times as long.
    """
    sync(temporary)
    os.replace(temporary, path)
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
