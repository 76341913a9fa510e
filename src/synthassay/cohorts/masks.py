"""Where the mask of a scan lies."""

import re
from pathlib import PurePosixPath

from synthassay.cohorts.specs import LabelSpec


def mask_path(label: LabelSpec, path: str, name: str, subject: str = "", session: str = "") -> str | None:
    """Path of the mask of the scan at ``path`` by ``label.mask``; ``name`` is its file name without extension.

    None where the label needs no mask.
    """
    if label.source != "mask":
        return None
    parts = {"folder": PurePosixPath(path).parent.as_posix(), "name": name, "prefix": name.rpartition("_")[0] or name,
             "subject": subject, "session": session}  # fmt: skip
    filled = re.sub(r"\{(\w+)\}", lambda match: parts.get(match[1], match[0]), label.mask)
    return PurePosixPath(filled).as_posix()
