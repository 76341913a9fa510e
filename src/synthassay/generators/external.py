"""Sets that somebody else generated: a folder of images in, an :class:`ImageSet` in the cohort's shape out."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.generators.external_files import discover, read_text, read_trained_on
from synthassay.generators.external_readers import read_planes
from synthassay.generators.external_specs import ExternalSpec
from synthassay.generators.fitting import resized
from synthassay.generators.planting import numbered
from synthassay.records import MISSING, UNLABELLED, ImageSet, Quarantined
from synthassay.scans.unreadable import Unreadable
from synthassay.seeding import numpy_generator

__all__ = ["external_fingerprint", "load_external", "read_trained_on"]

_MAX_CELL = 64  # characters of a site or device, as in a DICOM header
_DATA = re.compile(r"\d{3}|\^|^\s*[-+]?\d*[.,]?\d+\s*$")  # a date, an id, a person's name, a number


@dataclass(frozen=True, slots=True)
class _File:
    """One file to read: its path relative to the root and what the table says about it."""

    path: str
    label: int = UNLABELLED
    site: str = MISSING
    device: str = MISSING


def load_external(
    spec: ExternalSpec, root: Path, *, like: ImageSet, policy: Mapping[str, Any]
) -> tuple[ImageSet, tuple[Quarantined, ...]]:
    """The images under ``root``, and a row for every file that was not used.

    ``like`` gives the shape, dtype and label names that the set must have. ``policy`` is the cohort's written intensity
    policy, which DICOM and NIfTI values pass; PNG, JPEG and TIFF keep the full range of their 8 or 16 bits. Rows are in
    the order of the paths, then of the slices. ``patients``, the resampling unit, is the file: one picture, or all
    slices of one volume.

    Raises :class:`~synthassay.errors.UserError` for a folder without a readable image, a table that does not fit, an
    unknown label, and images of another size or channel count than ``spec`` allows to be changed.
    """
    found, refused = discover(root)
    files = _files(spec, root, found, refused, like.label_names)
    pixels, origin = _read(spec, root, files, refused, like, policy)
    if not pixels:
        raise UserError(_nothing_left(spec, len(found), refused))
    order = np.argsort(origin, kind="stable")
    used = [files[origin[i]] for i in order]
    ids = numbered(spec.name, len(order))
    first_of_file = np.unique([origin[i] for i in order], return_index=True, return_inverse=True)
    images = ImageSet(
        name=spec.name, origin="external", pixels=np.stack([pixels[i] for i in order]), ids=ids,
        patients=ids[first_of_file[1][first_of_file[2]]], labels=np.array([file.label for file in used], np.int64),
        label_names=like.label_names,
        groups={name: np.array([getattr(file, name) for file in used], np.str_) for name in ("site", "device")},
    )  # fmt: skip
    return images, tuple(sorted(refused, key=lambda row: row.path))


def external_fingerprint(spec: ExternalSpec, root: Path) -> str:
    """sha256 (hex) over path, size and modification time of every file under ``root`` and of the table.

    Cheap: no image is opened.
    """
    digest = hashlib.sha256()
    for path in discover(root)[0]:
        status = (root / path).stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    if spec.table is not None and (table := _table_path(spec.table, root)).is_file():
        digest.update(f"table\0{table.stat().st_size}\0{table.stat().st_mtime_ns}".encode())
    return digest.hexdigest()


def _nothing_left(spec: ExternalSpec, files: int, refused: Sequence[Quarantined]) -> str:
    if not files and not refused:
        return f"the folder of {spec.name} (generator.root) is empty.\nGive the folder that holds the synthetic images."
    reasons = Counter(row.reason for row in refused).most_common(3)
    listed = "; ".join(f"{reason} ({count:,})" for reason, count in reasons)
    return (f"{spec.name}: no readable image among {files:,} files of generator.root.\nReasons: {listed}.\n"
            "Give a folder of PNG, JPEG, TIFF, DICOM or NIfTI files.")  # fmt: skip


def _read(
    spec: ExternalSpec, root: Path, files: Sequence[_File], refused: list[Quarantined], like: ImageSet,
    policy: Mapping[str, Any],
) -> tuple[list[NDArray[Any]], list[int]]:  # fmt: skip
    """Images, at most ``spec.images``, and the index of the file that each comes from."""
    pixels: list[NDArray[Any]] = []
    origin: list[int] = []
    limit = len(files) if spec.images is None else spec.images
    # A limited set is drawn from all files, since folders are often sorted by class.
    order = range(len(files)) if spec.images is None else numpy_generator("external", "draw").permutation(len(files))
    for number in map(int, order):
        if spec.images is not None and len(pixels) >= limit:
            break
        try:
            planes = read_planes(root / files[number].path, spec, policy)
        except Unreadable as error:
            refused.append(error.row(files[number].path))
            continue
        pixels += [_fitted(plane, files[number].path, spec, like, policy) for plane in planes]
        origin += [number] * len(planes)
    return pixels[: spec.images], origin[: spec.images]


def _fitted(
    plane: NDArray[Any], path: str, spec: ExternalSpec, like: ImageSet, policy: Mapping[str, Any]
) -> NDArray[Any]:
    """``[c, (d,) h, w]`` → the shape and dtype of ``like``, changed only as far as ``spec`` allows."""
    channels, *size = like.pixels.shape[1:]
    advice = []
    if len(plane) != channels and spec.channels != "match":
        advice.append("set generator.channels=match to turn grey into RGB or three equal channels into grey")
    if list(plane.shape[1:]) != size and not spec.resize:
        advice.append("set generator.resize=true to resample")
    if advice:
        order = "channels × rows × columns" if len(size) == 2 else "channels × slices × rows × columns"
        raise UserError(f"{spec.name}: {path}: found {_shape(plane.shape)} ({order}), expected "
                        f"{_shape((channels, *size))};\n{', and '.join(advice)}.")  # fmt: skip
    if len(plane) != channels:
        plane = _rechannelled(plane, channels, path, spec)
    if list(plane.shape[1:]) != size:
        plane = resized(plane, size, str(policy.get("fit", "crop")))
    return np.rint(plane.clip(0, 1).astype(np.float64) * like.pixel_max).astype(like.pixels.dtype)


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _rechannelled(plane: NDArray[Any], channels: int, path: str, spec: ExternalSpec) -> NDArray[Any]:
    if len(plane) == 1:
        return np.repeat(plane, channels, axis=0)
    if channels != 1 or not (plane == plane[0]).all():
        raise UserError(f"{spec.name}: {path} is a colour image (its channels differ), and the cohort has {channels} "
                        "channel(s).\nConvert the set to grey, or prepare the cohort with cohort.channels=3."
                        )  # fmt: skip
    return plane[:1]


def _files(
    spec: ExternalSpec, root: Path, found: Sequence[str], refused: list[Quarantined], names: tuple[str, ...]
) -> list[_File]:
    """What to read. With a table the files that it lists; the rest of either is added to ``refused``."""
    if spec.table is None:
        return [_File(path) for path in found]
    rows = _table(spec, root, names)
    known = set(found)
    inside = PurePosixPath(spec.table).as_posix()
    for path in [path for path in found if path not in rows and path != inside]:
        refused.append(Quarantined(path=path, field="table", found="no row", reason="not listed in the table"))
    absent = rows.keys() - known - {row.path for row in refused}
    for path in absent:
        refused.append(Quarantined(path=path, field="table", found="no file", reason="listed in the table, not found"))
    return [rows[path] for path in found if path in rows]


def _table_path(table: str, root: Path) -> Path:
    """Where the table lies. Outside the root only by an absolute path, which the user must have meant."""
    path = root / table
    if not PurePath(table).is_absolute():
        try:
            inside = ".." not in PurePath(table).parts and path.resolve().is_relative_to(root.resolve())
        except (OSError, RuntimeError):  # links in a circle
            inside = False
        if not inside:
            raise UserError(f"generator.table leads out of generator.root: {table}\n"
                            "Give a file inside that folder, or an absolute path.")  # fmt: skip
    return path


def _listed(columns: Iterable[object]) -> str:
    """Column names for a message; not those of a table without a header, whose first row is somebody's data."""
    names = [str(name) for name in columns]
    if any(_DATA.search(name) for name in names):
        return f"{len(names)} columns, whose first row looks like data; does the table have a header?"
    return f"it has: {', '.join(names[:12])}"


def _cell(text: str) -> str:
    """A site or device as one short line: without control characters and signs that change direction."""
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in text)
    return " ".join(kept.split())[:_MAX_CELL].rstrip()


def _table(spec: ExternalSpec, root: Path, names: tuple[str, ...]) -> dict[str, _File]:
    """The rows of the table by path."""
    assert spec.table is not None
    table = _table_path(spec.table, root)
    separator = "\t" if table.suffix.lower() in (".tsv", ".tab") else ","
    try:
        frame = pd.read_csv(read_text(table, "generator.table"), sep=separator, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{spec.table} is not a table with a header row, separated by commas (.csv) or tabs (.tsv).\n"
                        "Check generator.table.") from error  # fmt: skip
    columns = spec.columns
    for field, column in (("path", columns.path), ("label", columns.label), ("site", columns.site),
                          ("device", columns.device)):  # fmt: skip
        if column is not None and column not in frame.columns:
            raise UserError(f"{spec.table} has no column {column!r} ({_listed(frame.columns)}).\n"
                            f"Name the right one with generator.columns.{field}=NAME"
                            + ("." if field == "path" else f", or set generator.columns.{field}=null."))  # fmt: skip
    rows: dict[str, _File] = {}
    for row in frame.to_dict("records"):
        file = _row(row, spec, names)
        if file.path in rows:
            raise UserError(f"{spec.table} lists {file.path} twice.\nKeep one row for each image.")
        rows[file.path] = file
    return rows


def _row(row: Mapping[Any, str], spec: ExternalSpec, names: tuple[str, ...]) -> _File:
    columns = spec.columns
    path = PurePosixPath(row[columns.path].strip().replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{spec.table}: the path {path} leads out of generator.root.\n"
                        "Give paths relative to that folder.")  # fmt: skip
    text = "" if columns.label is None else row[columns.label].strip()
    label = _class_index(text, names)
    if label is None:
        raise UserError(f"{spec.table}: {path} has the label {text!r}; the cohort's labels are "
                        f"{', '.join(f'{name!r} ({i})' for i, name in enumerate(names))}.\n"
                        "Use these names or numbers, or leave the label empty.")  # fmt: skip
    site, device = ("" if column is None else _cell(row[column]) for column in (columns.site, columns.device))
    return _File(path.as_posix(), label, site, device)


def _class_index(text: str, names: Sequence[str]) -> int | None:
    """The class that ``text`` names, by name first and else by index; −1 for empty text, None for an unknown one."""
    if not text:
        return UNLABELLED
    if text in names:
        return list(names).index(text)
    folded = [name.casefold() for name in names]
    if folded.count(text.casefold()) == 1:
        return folded.index(text.casefold())
    number = text.removesuffix(".0")  # what a spreadsheet makes of an index
    return int(number) if number.isascii() and number.isdigit() and int(number) < len(names) else None
