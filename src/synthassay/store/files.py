"""Files of the store, and what is said when the disk takes no more."""

import contextlib
import errno
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthassay.errors import UserError
from synthassay.whole_files import write_whole


@contextlib.contextmanager
def disk_errors_explained(where: Path) -> Iterator[None]:
    """Turn a full disk, a full quota or a forbidden folder into a message that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = f"the disk that holds {where} is full ({error.strerror}).\nFree some space, or choose another place "
            raise UserError(text + "with store.root=DIR and out=DIR; finished stages are kept.") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            text = f"cannot write to {where}: {error.strerror}.\n"
            raise UserError(text + "Choose a folder that you may write to with store.root=DIR and out=DIR.") from error
        raise


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as readable JSON, atomically; NaN and infinity are refused."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_whole(path, (text + "\n").encode(), durable=True)


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
