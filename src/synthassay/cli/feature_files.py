"""Reading features that anybody made: ``.npz`` with the keys below, or ``.npy`` with ``[n, d]`` features alone.

- ``features``: ``[n, d]`` floating point, finite; read as float32, the precision of a :class:`FeatureSet`.
- ``ids``: ``[n]`` text or whole numbers, all different.
- ``patients``: ``[n]`` text or whole numbers: whose image a row is, the resampling unit of every interval.
- ``labels``: ``[n]`` text or whole numbers; ``""`` and -1 mean that a row has none.

Nothing is unpickled, so that a file from a stranger can run no code.
"""

import contextlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError

FEATURES = "features"
COLUMNS = ("ids", "patients", "labels")
MISSING_LABELS = ("", "-1")
WORKING_COPIES = 3  # float64 copies of a set's features that scoring holds at once
BLOCK_ROWS = 4096

Text = NDArray[np.str_]
_Header = tuple[tuple[int, ...], np.dtype[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFile:
    """What a file holds. ``features``: ``[n, d]`` float32; the other columns ``[n]`` text, None where absent."""

    name: str  # of the file, for messages
    features: NDArray[np.float32]
    ids: Text | None = None
    patients: Text | None = None
    labels: Text | None = None  # "" where a row has none
    unused: tuple[str, ...] = ()  # keys that are not read

    def __len__(self) -> int:
        return len(self.features)


def read_features(path: Path) -> FeatureFile:
    """Read one file. Whatever is wrong with it is a :class:`UserError` that names the file, the key and the row."""
    name = path.name
    if not path.is_file():  # a pipe would be waited on for ever
        raise UserError(f"{path} is not a file; give .npz with the key '{FEATURES}', or .npy")
    with _explained(path):
        with path.open("rb") as stream:
            magic = stream.read(6)
        if magic == np.lib.format.MAGIC_PREFIX:
            return FeatureFile(name=name, features=_checked(name, _read_npy(path)))
        if not zipfile.is_zipfile(path):
            raise UserError(f"{path} is neither .npz nor .npy; write it with np.savez(path, {FEATURES}=..., ids=...)")
        arrays, unused = _read_npz(path)
    features = _checked(name, arrays.pop(FEATURES))
    columns = {key: _text_column(name, key, array, len(features)) for key, array in arrays.items()}
    return FeatureFile(name=name, features=features, unused=unused, **columns)


def _read_npy(path: Path) -> NDArray[Any]:
    with path.open("rb") as stream:
        _refuse(path.name, FEATURES, _header(stream))
    return np.asarray(np.load(path, allow_pickle=False))


def _read_npz(path: Path) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """The arrays of the known keys, and the other keys. Headers are judged before anything large is read."""
    with zipfile.ZipFile(path) as archive:
        members = {entry.removesuffix(".npy"): entry for entry in archive.namelist()}
        if FEATURES not in members:
            found = ", ".join(sorted(members)[:8]) or "nothing"
            raise UserError(f"{path.name} has no key '{FEATURES}'; it holds: {found}")
        known = [key for key in (FEATURES, *COLUMNS) if key in members]
        for key in known:
            with archive.open(members[key]) as stream:
                _refuse(path.name, key, _header(stream))
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in known}, tuple(sorted(members.keys() - set(known)))


def _header(stream: IO[bytes]) -> _Header:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def _refuse(name: str, key: str, header: _Header) -> None:
    """An error for what cannot be used, from the header alone."""
    shape, dtype = header
    if dtype.hasobject:
        raise UserError(f"'{key}' of {name} holds Python objects, which are not read: unpickling can run code.\n"
                        f"Save plain text or numbers: np.savez(path, {key}=np.array(list_of_values, dtype=str))"
                        )  # fmt: skip
    if len(shape) != (2 if key == FEATURES else 1):
        expected = "[n, d]" if key == FEATURES else "[n]"
        raise UserError(f"'{key}' of {name} must be {expected}, found the shape {list(shape)}")
    if key != FEATURES:
        return
    if dtype.kind != "f":
        raise UserError(f"'{key}' of {name} must be floating point, found {dtype}; convert it with .astype('float32')")
    if 0 in shape:
        raise UserError(f"'{key}' of {name} is empty: {shape[0]} rows of {shape[1]} columns")
    needed, free = shape[0] * shape[1] * (dtype.itemsize + 4 + 8 * WORKING_COPIES), available_memory()
    if free is not None and needed > free:
        raise UserError(f"{name} is too large for this machine: to score {shape[0]:,} rows of {shape[1]:,} columns "
                        f"takes about {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free.\n"
                        "Score a random part of the rows, by whole patients.")  # fmt: skip


def available_memory() -> int | None:
    """Bytes that this process could still take without swapping; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None


def _checked(name: str, array: NDArray[Any]) -> NDArray[np.float32]:
    """``array`` as float32; an error names the row and column of a value that is not finite there."""
    with np.errstate(over="ignore"):  # told below
        features = np.ascontiguousarray(array, np.float32)
    bad = np.concatenate([~np.isfinite(features[i : i + BLOCK_ROWS]).all(axis=1)
                          for i in range(0, len(features), BLOCK_ROWS)])  # fmt: skip
    if bad.any():
        row = int(bad.argmax())
        column = int((~np.isfinite(features[row])).argmax())
        found = array[row, column]
        why = "is beyond float32" if np.isfinite(found) else "is not a number that can be scored"
        raise UserError(f"'{FEATURES}' of {name} holds {found} at row {row}, column {column}, which {why}.\n"
                        f"{int(bad.sum()):,} of {len(bad):,} rows are affected; encode them again or leave them out."
                        )  # fmt: skip
    return features


def _text_column(name: str, key: str, array: NDArray[Any], rows: int) -> Text:
    """A column as text, checked against the number of rows of the features."""
    if len(array) != rows:
        raise UserError(f"'{key}' of {name} has {len(array):,} entries for {rows:,} rows of '{FEATURES}'")
    text = _as_text(name, key, array)
    if key == "labels":
        return np.where(np.isin(text, MISSING_LABELS), "", text)
    if (text == "").any():
        raise UserError(f"'{key}' of {name} is empty at row {int((text == '').argmax())}; every row needs one")
    if key == "ids":
        _, first, inverse = np.unique(text, return_index=True, return_inverse=True)
        again = first[inverse] != np.arange(rows)
        if again.any():
            row = int(again.argmax())
            raise UserError(f"'ids' of {name}: row {row} repeats row {int(first[inverse[row]])}; ids must be distinct")
    return text


def _as_text(name: str, key: str, array: NDArray[Any]) -> Text:
    """Text, bytes, whole numbers or truth values as text: 1, 1.0, True and "1" are one value; NaN is missing."""
    kind = array.dtype.kind
    if kind == "U":
        return np.char.strip(array)
    if kind == "S":
        try:
            return np.char.strip(np.char.decode(array, "utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(f"'{key}' of {name} holds bytes that are not UTF-8; save it as text (dtype=str)") from error
    if kind in "bui":
        return array.astype(np.int64 if kind == "b" else array.dtype).astype(np.str_)
    if kind == "f":
        missing = np.isnan(array)
        whole = missing | (np.isfinite(array) & (array == np.round(array)))
        if whole.all():
            return np.where(missing, "", np.where(missing, 0, array).astype(np.int64).astype(np.str_))
        row = int((~whole).argmax())
        raise UserError(f"'{key}' of {name} holds {array[row]} at row {row}; it must be text or whole numbers")
    raise UserError(f"'{key}' of {name} must be text or whole numbers, found {array.dtype}")


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What NumPy and zipfile raise on a damaged or unreadable file, as a message."""
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{path} does not fit into memory; score a random part of its rows") from error
    except OSError as error:
        if isinstance(error, zipfile.BadZipFile) or error.strerror is None:
            raise _damaged(path, error) from error
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, SyntaxError, RuntimeError,
            NotImplementedError) as error:  # fmt: skip
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return UserError(f"{path} is damaged or not in NumPy's format: {reason}.\nCopy it again, or write it again.")
