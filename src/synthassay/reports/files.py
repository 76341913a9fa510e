"""Writing files so that a reader sees the old content or the new, never half of either."""

import os
import tempfile
from pathlib import Path


def write_atomic(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Write ``content`` to a temporary neighbour of ``path``, flush it to disk, then rename it into place.

    Only the owner may read it, unless it is ``shared``: then it has the mode that a new file gets by the umask.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if shared:
            temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's umask, which can only be read by setting it: for an instant nobody else may read new files."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
