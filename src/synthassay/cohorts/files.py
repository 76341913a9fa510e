"""Which files of a folder a cohort asks for, and by what they are known again."""

from fnmatch import fnmatchcase
from pathlib import Path

from synthassay.cohorts.specs import CohortSpec, DicomSpec
from synthassay.cohorts.tables import table_paths, without_absent_participants
from synthassay.errors import UserError
from synthassay.scans.discovery import fingerprint, require_folder

ROOT = "cohort.root"


def selected(path: str, spec: CohortSpec) -> bool:
    """Whether ``include`` and ``exclude`` let a path through; ``*`` also matches ``/``."""

    def matches(patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in patterns)

    return matches(spec.include) and not matches(spec.exclude)


def check_source(spec: CohortSpec) -> None:
    """Raises :class:`UserError` where the folder of the scans or a table is missing. Needs no large library."""
    root = source_root(spec)
    if root is not None:
        _table_files(spec, root)


def source_root(spec: CohortSpec) -> Path | None:
    """The folder of the scans; None for the phantom, which may not be written yet.

    Raises :class:`UserError` where none is given or it does not exist.
    """
    if spec.root is None:
        if isinstance(spec, DicomSpec) and spec.phantom is not None:
            return None
        raise UserError(
            f"cohort={spec.name} needs the folder of its scans: add cohort.root=DIR.\n"
            "data/README.md says how to get the data of each cohort."
        )
    root = Path(spec.root).expanduser()
    require_folder(root, ROOT)
    return root


def source_fingerprint(spec: CohortSpec, root: Path) -> str:
    """sha256 (hex) over path, size and modification time of every file under ``root`` and of the tables.

    Cheap: nothing is opened. Raises :class:`UserError` where the root or a table is missing.
    """
    require_folder(root, ROOT)
    return fingerprint(root, ROOT, _table_files(spec, root))


def _table_files(spec: CohortSpec, root: Path) -> list[tuple[str, Path]]:
    """The files of each table, with the name of its setting."""
    tables = without_absent_participants(spec, root).tables
    return [(name, file) for name, table in tables.items() for file in table_paths(table, root)]
