"""Small files that claim, or unfold to, far more than a machine holds: refused in little time and memory."""

import gzip
import io
import struct
import sys
import zlib
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian

from synthassay.scans.limits import LimitSpec
from synthassay.scans.pool import CRASH, MEMORY, TIME, Pool
from synthassay.scans.unreadable import Unreadable

sys.path.append(str(Path(__file__).parent))  # where the processes find it too
import damaged

TIGHT = LimitSpec(seconds=20, memory_mib=768)  # of the process; the reader's own limits are those of damaged.LIMITS


def refusal(name: str, content: bytes) -> Unreadable:
    """Why the file is refused, as a cohort and as an external set read it."""
    ((_, answer),) = Pool(damaged.read, 1, TIGHT).answers([(name, content)])
    assert isinstance(answer, Unreadable)
    assert answer.reason not in (CRASH, MEMORY, TIME)
    assert len(content) < 1 << 20
    return answer


def dicom(name: str = "MR_small.dcm", **tags: object) -> bytes:
    dataset = pydicom.dcmread(get_testdata_file(name))
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "JPEG2000.dcm"])
@pytest.mark.parametrize(
    ("tags", "limit"),
    [
        ({"Rows": 65535, "Columns": 65535}, "limits.voxels"),
        ({"NumberOfFrames": 2**31 - 1}, "limits.frames"),
        ({"Rows": 1, "Columns": 1, "NumberOfFrames": 65000}, "limits.frames"),
    ],
)
def test_dicom_that_claims_too_much(name, tags, limit):
    assert limit in refusal("bomb.dcm", dicom(name, **tags)).reason


def test_dicom_that_claims_what_the_limits_allow_and_does_not_hold():
    answer = refusal("bomb.dcm", dicom(Rows=2000, Columns=2000))
    assert answer.reason == "the pixel data are truncated or damaged"


def test_dicom_deflated():
    dataset = pydicom.dcmread(get_testdata_file("MR_small.dcm"))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.add_new(0x00091001, "OB", bytes(64 << 20))
    stream = io.BytesIO()
    dataset.save_as(stream)
    assert "limits.inflated_mib" in refusal("bomb.dcm", stream.getvalue()).reason


def nifti(shape: tuple[int, ...], kept: int, dtype: type = np.uint8) -> bytes:
    """A header that claims ``shape``, and ``kept`` bytes of voxels."""
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header.set_sform(np.eye(4), 1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    return header.binaryblock + b"\0" * (4 + kept)


def test_nifti_that_claims_too_much():
    answer = refusal("bomb.nii", nifti((32767, 32767, 32767), 100))
    assert answer.field == "dim"


def test_nifti_that_claims_what_the_limits_allow_and_does_not_hold():
    assert refusal("bomb.nii", nifti((128, 128, 128), 100)).reason == "the file is truncated or damaged"


def test_gzip_of_more_than_a_header_asks_for_is_not_inflated():
    content = gzip.compress(nifti((8, 8, 8), 256 << 20), 9, mtime=0)
    ((_, answer),) = Pool(damaged.read, 1, TIGHT).answers([("bomb.nii.gz", content)])
    assert answer == "images"  # of the 512 voxels; the rest is left alone


def test_gzip_that_unfolds_too_far():
    content = gzip.compress(nifti((512, 512, 16), 8 << 22, np.float64), 9, mtime=0)
    assert "limits.inflated_mib" in refusal("bomb.nii.gz", content).reason


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("side", [4000, 20000, 2**31 - 1])
def test_png(side):
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(1 << 24), 9))
    answer = refusal("bomb.png", b"\x89PNG\r\n\x1a\n" + header + pixels + png_chunk(b"IEND", b""))
    assert answer.field in ("size", "pixels")


def test_png_whose_text_unfolds_too_far():
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, "PNG")
    plain = stream.getvalue()
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(256 << 20), 9))
    answer = refusal("bomb.png", plain[:33] + text + plain[33:])
    assert answer.reason == "the image is truncated or damaged"


def test_tiff_of_a_large_page_and_of_many_pages():
    stream = io.BytesIO()
    Image.new("L", (3000, 3000)).save(stream, "TIFF", compression="tiff_adobe_deflate")
    assert refusal("bomb.tif", stream.getvalue()).field == "size"
    stream, page = io.BytesIO(), Image.new("L", (2, 2))
    page.save(stream, "TIFF", save_all=True, append_images=[page] * 400)
    assert "limits.frames" in refusal("bomb.tif", stream.getvalue()).reason


def test_npz_whose_member_unfolds_too_far():
    stream = io.BytesIO()
    np.savez_compressed(stream, x_images=np.zeros((64, 1024, 1024), np.uint8))
    assert "more than limits." in refusal("bomb.npz", stream.getvalue()).reason


def test_npz_whose_member_unfolds_further_than_its_directory_says():
    stream = io.BytesIO()
    np.savez_compressed(stream, x_images=np.zeros((2, 1024, 1024), np.uint8))
    content = stream.getvalue()
    real = (2 * 1024 * 1024 + 128).to_bytes(4, "little")
    assert content.count(real) >= 1
    answer = refusal("bomb.npz", content.replace(real, (128 + 64).to_bytes(4, "little")))
    assert "damaged" in answer.reason


@pytest.mark.parametrize("shape", [(1, 60000, 60000), (10**9, 8, 8), (2**40, 2**20, 2**20)])
def test_hdf5_that_claims_what_was_never_written(shape):
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("x_images", shape, np.uint8, chunks=(1, 8, 8))
    assert "more than limits." in refusal("bomb.h5", stream.getvalue()).reason
