"""Feature files from anywhere: what is read, and what is said of a file that cannot be used."""

import contextlib
import io
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthassay.cli import feature_files
from synthassay.cli.feature_files import read_features
from synthassay.errors import UserError

X = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)


def written(folder: Path, name: str = "set.npz", **arrays: object) -> Path:
    path = folder / name
    np.savez(path, **{"features": X, **arrays})
    return path


def test_all_keys_are_read_as_they_were_meant(tmp_path: Path) -> None:
    path = written(tmp_path, ids=np.arange(6), patients=np.array(["a", "a", "b ", "b", "c", "c"]),
                   labels=np.array([0, 1, -1, 1, 0, 0]), notes=np.zeros(2))  # fmt: skip
    file = read_features(path)
    np.testing.assert_array_equal(file.features, X)
    assert file.ids.tolist() == ["0", "1", "2", "3", "4", "5"]
    assert file.patients.tolist() == ["a", "a", "b", "b", "c", "c"]
    assert file.labels.tolist() == ["0", "1", "", "1", "0", "0"]
    assert (file.name, file.unused) == ("set.npz", ("notes",))


@pytest.mark.parametrize(
    "labels",
    [
        np.array([1, 0, 1, 0, 1, 0]),
        np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]),
        np.array([True, False] * 3),
        np.array(["1", "0"] * 3),
        np.array([b"1", b"0"] * 3),
        np.array([1, 0] * 3, np.uint8),
    ],
)
def test_one_label_has_one_text_whatever_its_type(labels: np.ndarray, tmp_path: Path) -> None:
    assert read_features(written(tmp_path, labels=labels)).labels.tolist() == ["1", "0"] * 3


def test_a_missing_label_is_empty(tmp_path: Path) -> None:
    labels = np.array([1.0, np.nan, 2.0, 2.0, -1.0, 1.0])
    assert read_features(written(tmp_path, labels=labels)).labels.tolist() == ["1", "", "2", "2", "", "1"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_every_float_becomes_float32(dtype: str, tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", X.astype(dtype))
    file = read_features(tmp_path / "set.npy")
    assert file.features.dtype == np.float32
    np.testing.assert_allclose(file.features, X, rtol=1e-3)
    assert (file.ids, file.patients, file.labels) == (None, None, None)


def test_compressed_files_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "set.npz", features=X)
    np.testing.assert_array_equal(read_features(tmp_path / "set.npz").features, X)


BROKEN = {
    "no features": ({"features": None, "embeddings": X}, ["no key 'features'", "embeddings"]),
    "one dimension": ({"features": X[0]}, ["'features' of set.npz must be [n, d], found the shape [3]"]),
    "three dimensions": ({"features": X[None]}, ["[n, d]", "[1, 6, 3]"]),
    "whole numbers": ({"features": np.ones((6, 3), np.uint8)}, ["floating point", "uint8", "astype('float32')"]),
    "empty": ({"features": X[:0]}, ["is empty: 0 rows of 3 columns"]),
    "nan": ({"features": np.where(np.arange(18).reshape(6, 3) == 7, np.nan, X)}, ["nan at row 2, column 1", "1 of 6"]),
    "infinity": ({"features": np.where(np.arange(18).reshape(6, 3) > 15, np.inf, X)}, ["inf at row 5, column 1"]),
    "beyond float32": ({"features": X.astype(np.float64) * 1e300}, ["beyond float32", "6 of 6"]),
    "objects": ({"labels": np.array([1, "a"] * 3, object)}, ["'labels' of set.npz holds Python objects", "dtype=str"]),
    "object features": ({"features": X.astype(object)}, ["'features' of set.npz holds Python objects"]),
    "length": ({"patients": np.arange(5)}, ["'patients' of set.npz has 5 entries for 6 rows"]),
    "two columns": ({"ids": np.zeros((6, 1), int)}, ["'ids' of set.npz must be [n], found the shape [6, 1]"]),
    "doubled ids": ({"ids": np.array(list("abcabd"))}, ["row 3 repeats row 0"]),
    "no patient": ({"patients": np.array(["a", "", "b", "b", "c", "c"])}, ["'patients' of set.npz is empty at row 1"]),
    "fractions": ({"patients": np.array([1, 2, 2.5, 3, 3, 4])}, ["2.5 at row 2", "text or whole numbers"]),
    "complex": ({"labels": np.ones(6, complex)}, ["'labels' of set.npz must be text or whole numbers, found complex"]),
    "dates": ({"ids": np.arange(6).astype("datetime64[D]")}, ["found datetime64"]),
    "latin-1": ({"ids": np.array(["é".encode("latin-1")] * 6)}, ["'ids' of set.npz", "not UTF-8"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_named_with_its_key_and_row(case: str, tmp_path: Path) -> None:
    arrays, expected = BROKEN[case]
    path = tmp_path / "set.npz"
    np.savez(path, **{k: v for k, v in ({"features": X} | arrays).items() if v is not None})
    with pytest.raises(UserError) as error:
        read_features(path)
    message = str(error.value)
    assert all(part in message for part in expected), message
    assert len(message.splitlines()) <= 3


def test_messages_name_rows_and_never_a_patient_or_an_id(tmp_path: Path) -> None:
    path = written(tmp_path, ids=np.array(["MRN-1"] * 6))
    with pytest.raises(UserError) as error:
        read_features(path)
    assert "MRN" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not an array", b"PK\x03\x04 cut off", b"\x93NUMPY\x01\x00cut off"])
def test_files_of_other_formats_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"set\.npz"):
        read_features(path)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.save(tmp_path / "set.npy", np.array([[Trap()]], object), allow_pickle=True)
    with pytest.raises(UserError, match="Python objects"):
        read_features(tmp_path / "set.npy")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["nowhere.npz", "."])
def test_what_is_no_file_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a file"):
        read_features(tmp_path / name)


def test_a_pipe_is_not_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "set.npz")
    with pytest.raises(UserError, match="is not a file"):
        read_features(tmp_path / "set.npz")


def test_a_file_larger_than_memory_is_refused_before_it_is_read(monkeypatch, tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 2048)})
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("features.npy", header.getvalue())
    monkeypatch.setattr(feature_files, "available_memory", lambda: 2**34)
    with pytest.raises(UserError, match=r"too large for this machine.*1,000,000,000 rows.*16\.0 GiB are free"):
        read_features(tmp_path / "set.npz")


def test_free_memory_is_known_here() -> None:
    free = feature_files.available_memory()
    assert free is None or 2**20 < free < 2**50


WHOLE = io.BytesIO()
np.savez_compressed(WHOLE, features=X, ids=np.arange(6), patients=np.array(list("aabbcc")))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(WHOLE.getvalue()) - 1), st.integers(0, 255), st.booleans())
def test_a_damaged_file_is_a_message_or_still_reads(place: int, byte: int, cut: bool) -> None:
    content = WHOLE.getvalue()
    damaged = content[:place] if cut else content[:place] + bytes([byte]) + content[place + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.npz"
        path.write_bytes(damaged)
        with contextlib.suppress(UserError):
            np.testing.assert_array_equal(read_features(path).features, X)
