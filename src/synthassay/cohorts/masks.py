"""Where the mask of a scan lies."""

import re
from pathlib import PurePosixPath


def mask_path(pattern: str, path: str, name: str, subject: str = "", session: str = "") -> str:
    """``label.mask`` filled in for the scan at ``path``; ``name`` is its file name without extension."""
    parts = {"folder": PurePosixPath(path).parent.as_posix(), "name": name, "prefix": name.rpartition("_")[0] or name,
             "subject": subject, "session": session}  # fmt: skip
    filled = re.sub(r"\{(\w+)\}", lambda match: parts.get(match[1], match[0]), pattern)
    return PurePosixPath(filled).as_posix()
