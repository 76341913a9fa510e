"""Which files of a folder a cohort asks for, and by what they are known again."""

from fnmatch import fnmatchcase
from pathlib import Path

from synthassay.cohorts.specs import CohortSpec
from synthassay.cohorts.tables import table_paths, without_absent_participants
from synthassay.scans.discovery import fingerprint

ROOT = "cohort.root"


def selected(path: str, spec: CohortSpec) -> bool:
    """Whether ``include`` and ``exclude`` let a path through; ``*`` also matches ``/``."""

    def matches(patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in patterns)

    return matches(spec.include) and not matches(spec.exclude)


def source_fingerprint(spec: CohortSpec, root: Path) -> str:
    """sha256 (hex) over path, size and modification time of every file under ``root`` and of the tables.

    Cheap: nothing is opened. Raises :class:`UserError` where the root or a table is missing.
    """
    tables = ((name, file) for name, table in without_absent_participants(spec, root).tables.items()
              for file in table_paths(table, root))  # fmt: skip
    return fingerprint(root, ROOT, tables)
