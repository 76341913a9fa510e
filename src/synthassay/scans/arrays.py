"""NPZ and HDF5 files → arrays, row by row. Files are untrusted: nothing is unpickled, and no link is followed.

Sizes are known from the headers before anything is inflated, and only one row of an array is held at a time.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from synthassay.scans.limits import LimitSpec, check_inflated
from synthassay.scans.text import table_value
from synthassay.scans.unreadable import Unreadable

HDF5 = (".h5", ".hdf5")
SUFFIXES = (".npz", *HDF5)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
READABLE = "biufSU"  # kinds of dtypes: numbers and text; O would be pickles, c is complex


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """What a header says about one array. ``start``: where its values begin in an NPZ file's member, in bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    start: int = 0

    @property
    def row_values(self) -> int:
        """Values in one row, that is, along all axes but the first."""
        return math.prod(self.shape[1:])


def list_arrays(path: Path) -> dict[str, ArrayInfo]:
    """The arrays of a file by name, from headers alone; those of no readable type are left out.

    Raises :class:`Unreadable`.
    """
    with _explained():
        return _listed(path, path.stat().st_mtime_ns)


def check_array(info: ArrayInfo, limits: LimitSpec) -> None:
    """Raises :class:`Unreadable` for an array, or a row of one, that is larger than ``limits``."""
    if info.row_values > limits.voxels:
        raise Unreadable("shape", f"{info.row_values} values", "more than limits.voxels")
    check_inflated(math.prod(info.shape) * info.dtype.itemsize, limits)


def read_row(path: Path, info: ArrayInfo, row: int) -> NDArray[Any]:
    """``array[row]``. Rows are read fastest in their order. Raises :class:`Unreadable` for damaged data."""
    with _explained():
        if path.name.lower().endswith(HDF5):
            return np.asarray(_opened_hdf5(path, path.stat().st_mtime_ns)[info.name][row])
        stream = _opened_member(path, path.stat().st_mtime_ns, info.name)
        size = info.row_values * info.dtype.itemsize
        stream.seek(info.start + row * size)
        content = stream.read(size)
        if len(content) < size:
            raise Unreadable("pixels", "too few bytes", "the array is truncated or damaged")
        return np.frombuffer(content, info.dtype).reshape(info.shape[1:])


def read_texts(path: Path, info: ArrayInfo, column: int | None) -> list[str]:
    """One text for each row: the array's only column, or of several the one that ``column`` names."""
    if len(info.shape) == 2 and info.shape[1] > 1 and column is None:
        reason = "holds several values for each image; of a cohort, cohort.arrays.column says which counts"
        raise Unreadable("shape", f"{info.shape[1]} columns", reason)
    with _explained():
        if path.name.lower().endswith(HDF5):
            dataset = _opened_hdf5(path, path.stat().st_mtime_ns)[info.name]
            values = np.asarray(dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()])
        else:
            with np.load(path, allow_pickle=False) as archive:
                values = archive[info.name]
    if values.ndim > 2 or (values.ndim == 2 and (column or 0) >= values.shape[1]):
        raise Unreadable("shape", f"{values.ndim} axes", "not one value for each image")
    return [_text(value) for value in (values if values.ndim < 2 else values[:, column or 0]).tolist()]


def read_attributes(path: Path) -> dict[str, str]:
    """The texts and numbers among the attributes of an HDF5 file; an NPZ file has none."""
    if not path.name.lower().endswith(HDF5):
        return {}
    with _explained():
        attributes = dict(_opened_hdf5(path, path.stat().st_mtime_ns).attrs)
    return {name: _text(value) for name, value in attributes.items() if np.ndim(value) == 0}


def _text(value: object) -> str:
    return table_value(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, TypeError, zlib.error, zipfile.BadZipFile) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the file system, not of the file
        raise Unreadable("file", type(error).__name__, "the array file is truncated or damaged") from error


@lru_cache(maxsize=1)  # of a file with many scans, which are read one by one
def _listed(path: Path, _changed: int) -> dict[str, ArrayInfo]:
    return _hdf5_arrays(path) if path.name.lower().endswith(HDF5) else _npz_arrays(path)


def _npz_arrays(path: Path) -> dict[str, ArrayInfo]:
    found = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".npy") or member.compress_type not in METHODS:
                continue
            with archive.open(member) as stream:
                shape, by_columns, dtype = _npy_header(stream)
                start = stream.tell()
            if dtype.kind not in READABLE or not shape:
                continue
            if by_columns and len(shape) > 1:
                raise Unreadable(
                    "order", "by columns", "the array is stored by columns; save it with np.ascontiguousarray"
                )
            if member.file_size != start + math.prod(shape) * dtype.itemsize:
                raise Unreadable("shape", "not the member's size", "the array is truncated or damaged")
            name = member.filename.removesuffix(".npy")
            found[name] = ArrayInfo(name, shape, dtype, start)
    return found


def _npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def _hdf5_arrays(path: Path) -> dict[str, ArrayInfo]:
    found: dict[str, ArrayInfo] = {}

    def visit(group: h5py.Group, prefix: str) -> None:
        for key in group:
            # A soft or external link may lead anywhere, out of the folder too.
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                continue
            item, name = group[key], prefix + key
            if isinstance(item, h5py.Group) and name.count("/") < 8:
                visit(item, name + "/")
            elif isinstance(item, h5py.Dataset) and _is_plain(item):
                text = h5py.check_string_dtype(item.dtype) is not None
                found[name] = ArrayInfo(name, item.shape, np.dtype("U1") if text else item.dtype)

    with h5py.File(path, "r") as file:
        visit(file, "")
    return found


def _is_plain(dataset: h5py.Dataset) -> bool:
    """Whether a dataset's values lie in its own file and are numbers or text, in chunks no larger than the whole."""
    readable = dataset.dtype.kind in READABLE or h5py.check_string_dtype(dataset.dtype) is not None
    whole = not dataset.chunks or math.prod(dataset.chunks) <= 2 * max(1, dataset.size)
    return bool(dataset.shape) and readable and whole and dataset.external is None and not dataset.is_virtual


# One open file for each process: a chunk's rows follow one another, and opening a file again would inflate it again.
@lru_cache(maxsize=1)
def _opened_hdf5(path: Path, _changed: int) -> h5py.File:
    return h5py.File(path, "r")


@lru_cache(maxsize=1)
def _opened_member(path: Path, _changed: int, name: str) -> IO[bytes]:
    return zipfile.ZipFile(path).open(f"{name}.npy")
