import io
import zipfile

import h5py
import numpy as np
import pytest

from synthassay.scans.arrays import check_array, list_arrays, read_attributes, read_row, read_texts
from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable

IMAGES = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)


@pytest.fixture(params=["a.npz", "stored.npz", "a.h5"])
def file(request, tmp_path):
    path = tmp_path / request.param
    arrays = {"x/images": IMAGES, "labels": np.array([[0, 9], [1, 9], [0, 9], [1, 9], [2, 9]])}
    if path.suffix == ".h5":
        with h5py.File(path, "w") as opened:
            for name, values in arrays.items():
                opened.create_dataset(name, data=values, compression="gzip")
            opened["names"] = [f"n{i}" for i in range(5)]
            opened.attrs.update({"who": b"P1", "count": 3, "vector": [1, 2]})
    else:
        save = np.savez if request.param == "stored.npz" else np.savez_compressed
        save(path, names=np.array([f"n{i}" for i in range(5)]), **arrays)
    return path


def test_arrays_are_listed_from_their_headers_and_read_row_by_row_in_any_order(file):
    info = list_arrays(file)["x/images"]
    assert (info.shape, info.dtype, info.row_values) == ((5, 6, 7), np.uint16, 42)
    for row in (0, 1, 4, 2, 0):
        assert np.array_equal(read_row(file, info, row), IMAGES[row])


def test_one_text_a_row_from_the_column_asked_for(file):
    arrays = list_arrays(file)
    assert read_texts(file, arrays["labels"], 0) == ["0", "1", "0", "1", "2"]
    assert read_texts(file, arrays["labels"], 1) == ["9"] * 5
    with pytest.raises(Unreadable, match=r"several values for each image.*cohort\.arrays\.column"):
        read_texts(file, arrays["labels"], None)
    assert read_texts(file, arrays["names"], None) == ["n0", "n1", "n2", "n3", "n4"]
    with pytest.raises(Unreadable, match="not one value for each image"):
        read_texts(file, arrays["labels"], 2)


def test_attributes_are_the_single_values_of_an_hdf5_file(file):
    assert read_attributes(file) == ({"who": "P1", "count": "3"} if file.suffix == ".h5" else {})


def test_a_file_that_was_written_anew_is_read_anew(tmp_path):
    for value in (1, 2):
        np.savez_compressed(tmp_path / "a.npz", x=np.full((2, 3), value, np.uint8))
        info = list_arrays(tmp_path / "a.npz")["x"]
        assert read_row(tmp_path / "a.npz", info, 1).tolist() == [value] * 3


@pytest.mark.parametrize(
    ("limits", "message"),
    [({"voxels": 41}, r"limits\.voxels"), ({"inflated_mib": 1}, r"limits\.inflated_mib")],
)
def test_what_would_inflate_beyond_the_limits_is_refused_by_its_header(tmp_path, limits, message):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((1 << 15, 42), np.uint8))  # 1.3 MiB in a few kilobytes
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (1 << 40, 42), "u1", chunks=(64, 42))  # nothing is written
    for name in ("a.npz", "a.h5"):
        with pytest.raises(Unreadable, match=message):
            check_array(list_arrays(tmp_path / name)["x"], LimitSpec(**limits))


def test_a_member_whose_header_claims_another_size_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 8)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", buffer.getvalue() + bytes(64))
    with pytest.raises(Unreadable, match="truncated or damaged"):
        list_arrays(tmp_path / "a.npz")


def test_objects_are_never_unpickled_and_no_link_is_followed(tmp_path):
    np.savez(tmp_path / "a.npz", evil=np.array([print, 1], object), good=np.zeros((2, 2)))
    assert list(list_arrays(tmp_path / "a.npz")) == ["good"]
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["images"] = IMAGES
    layout = h5py.VirtualLayout((5, 6, 7), np.uint16)
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "images", (5, 6, 7))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["external"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "images")
        file["soft"] = h5py.SoftLink("/external")
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (5,), "u1", external=[(str(tmp_path / "other.h5"), 0, 5)])
        file["complex"] = np.zeros((2, 2), np.complex64)
        file["good"] = np.zeros((2, 2))
    assert list(list_arrays(tmp_path / "a.h5")) == ["good"]


@pytest.mark.parametrize("name", ["a.npz", "a.h5"])
def test_damaged_files_are_refused_whatever_breaks(tmp_path, name):
    path = tmp_path / name
    if name == "a.h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=np.random.default_rng(0).random((50, 20)), compression="gzip")
    else:
        np.savez_compressed(path, x=np.random.default_rng(0).random((50, 20)))
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    refused = 0
    for trial in range(60):
        damaged = bytearray(whole[: int(random.integers(1, len(whole)))] if trial % 2 else whole)
        for place in random.integers(0, len(damaged), 8):
            damaged[place] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            for info in list_arrays(path).values():
                read_row(path, info, info.shape[0] - 1)
        except Unreadable:
            refused += 1
    assert refused > 30
