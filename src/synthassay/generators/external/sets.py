"""Sets that somebody else generated: a folder of images in, an :class:`ImageSet` in the cohort's shape out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from synthassay.errors import UserError
from synthassay.generators.external.items import Item, find_items, is_described
from synthassay.generators.external.reading import read_items
from synthassay.generators.external.specs import ExternalSpec
from synthassay.generators.external.tables import Facts, array_file, labelled, read_table, table_path
from synthassay.generators.planting import numbered
from synthassay.records import ImageSet, Progress, Quarantined
from synthassay.scans.arrays import SUFFIXES as ARRAYS
from synthassay.scans.discovery import discover, fingerprint
from synthassay.specs import Resources

ROOT = "generator.root"
_NAME_ROWS = "an array file; the table names its rows, as FILE/ARRAY/ROW"
_KINDS = "PNG, JPEG, TIFF, DICOM, NIfTI, NPZ or HDF5 files"


def load_external(
    spec: ExternalSpec, root: Path, *, like: ImageSet, policy: Mapping[str, Any], resources: Resources,
    progress: Progress,
) -> tuple[ImageSet, tuple[Quarantined, ...]]:  # fmt: skip
    """The images under ``root``, and a row for every file that was not used.

    ``like`` gives the shape, dtype and label names that the set must have. ``policy`` is the cohort's written intensity
    policy, which DICOM and NIfTI values pass; PNG, JPEG and TIFF keep the full range of their 8 or 16 bits, as arrays
    of these depths do. Rows are in the order of the paths, then of the slices. ``patients``, the resampling unit, is
    the item: one picture, one row of an array, or all slices of one volume.

    Raises :class:`~synthassay.errors.UserError` for a folder without a readable image, a table that does not fit, an
    unknown label, and images of another size or channel count than ``spec`` allows to be changed.
    """
    found, refused = discover(root, ROOT)
    rows = None if spec.table is None else read_table(spec, root, like.label_names)
    whole = policy.get("dimensions", 2) == 3
    wanted = found if rows is None else _listed(spec, found, rows, refused, whole)
    items, unusable = find_items(root, wanted, spec, whole, resources, progress)
    refused += unusable
    items, facts = _with_facts(spec, items, rows, refused, like.label_names)
    read, damaged = read_items(root, items, spec, like, policy, resources, progress)
    refused += damaged
    if not read:
        raise UserError(_nothing_left(spec, len(found), refused))
    numbers = sorted(read)
    used = np.repeat(numbers, [len(read[number]) for number in numbers])
    ids = numbered(spec.name, len(used))
    known = [facts[number] for number in used]
    _, first, which = np.unique(used, return_index=True, return_inverse=True)
    images = ImageSet(
        name=spec.name, origin="external", pixels=np.concatenate([read[number] for number in numbers]), ids=ids,
        patients=ids[first[which]], labels=np.array([fact.label for fact in known], np.int64),
        label_names=like.label_names,
        groups={name: np.array([getattr(fact, name) for fact in known], np.str_) for name in ("site", "device")},
    )  # fmt: skip
    return images, tuple(sorted(refused, key=lambda row: row.path))


def external_fingerprint(spec: ExternalSpec, root: Path) -> str:
    """sha256 (hex) over path, size and modification time of every file under ``root`` and of the table.

    Cheap: no image is opened.
    """
    table = None if spec.table is None else table_path(spec.table, root)
    return fingerprint(root, ROOT, [("table", table)] if table is not None and table.is_file() else [])


def _nothing_left(spec: ExternalSpec, files: int, refused: Sequence[Quarantined]) -> str:
    if not files and not refused:
        return f"the folder of {spec.name} (generator.root) is empty.\nGive the folder that holds the synthetic images."
    reasons = Counter(row.reason for row in refused).most_common(3)
    listed = "; ".join(f"{reason} ({count:,})" for reason, count in reasons)
    return (f"{spec.name}: no readable image among {files:,} files of generator.root.\nReasons: {listed}.\n"
            f"Give a folder of {_KINDS}.")  # fmt: skip


def _listed(
    spec: ExternalSpec, found: Sequence[str], rows: Mapping[str, Facts], refused: list[Quarantined], whole: bool
) -> list[str]:
    """The files that the table names, and those that may be of a volume with one; the others go to ``refused``."""
    arrays = {file for path in rows if (file := array_file(path))}
    wanted = []
    for path in found:
        if path in arrays or (path in rows and not path.lower().endswith(ARRAYS)):
            wanted.append(path)
        elif path in rows:
            refused.append(Quarantined(path=path, field="table", found="a whole file", reason=_NAME_ROWS))
        elif path == PurePosixPath(str(spec.table)).as_posix():
            continue
        elif whole and is_described(path, whole) and not path.lower().endswith(ARRAYS):
            wanted.append(path)
        else:
            refused.append(_not_listed(path))
    known = {*wanted, *(row.path for row in refused)}
    refused += [_not_found(path) for path in rows if path not in known and array_file(path) not in known]
    return wanted


def _with_facts(
    spec: ExternalSpec, items: Sequence[Item], rows: Mapping[str, Facts] | None, refused: list[Quarantined],
    names: tuple[str, ...],
) -> tuple[list[Item], list[Facts]]:  # fmt: skip
    """What to read, and what the table, or else the array of labels, says about each."""
    if rows is None:
        return list(items), [_labelled(item, names) for item in items]
    kept: list[tuple[Item, Facts]] = []
    for item in items:
        said = {rows[name] for name in item.names if name in rows}
        if len(said) > 1:
            raise UserError(f"{spec.table} says different things about files of one volume, of which {item.path} is "
                            "one.\nKeep one row for each volume.")  # fmt: skip
        if said:
            kept.append((item, said.pop()))
        else:
            refused += [_not_listed(name) for name in item.names]
    inside = {item.path for item in items if item.array is not None}
    files = {item.file for item in items if item.array is not None}
    refused += [_not_found(path) for path in rows if array_file(path) in files and path not in inside]
    return [item for item, _ in kept], [facts for _, facts in kept]


def _labelled(item: Item, names: tuple[str, ...]) -> Facts:
    without = "generator.arrays.labels=null"
    return Facts(labelled(item.path, item.label, names, f"set {without}", without))


def _not_listed(path: str) -> Quarantined:
    return Quarantined(path=path, field="table", found="no row", reason="not listed in the table")


def _not_found(path: str) -> Quarantined:
    return Quarantined(path=path, field="table", found="no file", reason="listed in the table, not found")
