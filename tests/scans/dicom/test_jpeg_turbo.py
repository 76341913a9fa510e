"""imagecodecs as a plugin of pydicom, beside gdcm."""

from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEGLossless, JPEGLosslessSV1

from synthassay.scans.dicom.jpeg_turbo import precision_of
from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable

pytest.importorskip("gdcm")
imagecodecs = pytest.importorskip("imagecodecs")


def packed(values: np.ndarray, bits: int, predictor: int = 1) -> Dataset:
    """A dataset with one grey frame, packed by libjpeg-turbo."""
    stored = values.view(f"u{values.itemsize}") & (2**bits - 1)  # signed values lie in as many bits
    frame = imagecodecs.jpeg8_encode(stored, lossless=True, predictor=predictor, bitspersample=bits)
    dataset = dcmread(get_testdata_file("MR_small.dcm"))
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * values.itemsize, bits, bits - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1 if predictor == 1 else JPEGLossless
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    return dataset


def decoded(dataset: Dataset, plugin: str) -> np.ndarray:
    return get_decoder(dataset.file_meta.TransferSyntaxUID).as_array(dataset, decoding_plugin=plugin)[0]


def content_of(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, implicit_vr=False, little_endian=True)
    return stream.getvalue()


@pytest.mark.parametrize("predictor", [1, 4, 7])
@pytest.mark.parametrize(("bits", "signed"), [(8, False), (9, False), (12, False), (12, True), (16, False), (16, True)])
def test_every_depth_gives_the_values_that_were_packed_and_those_of_gdcm(bits, signed, predictor):
    low = -(2 ** (bits - 1)) if signed else 0
    kind = f"{'ui'[signed]}{1 if bits <= 8 else 2}"
    values = np.random.default_rng(bits).integers(low, low + 2**bits, (37, 53)).astype(kind)
    dataset = packed(values, bits, predictor)
    assert np.array_equal(decoded(dataset, "imagecodecs"), values)
    assert np.array_equal(decoded(dataset, "gdcm"), values)
    assert np.array_equal(read_planes(content_of(dataset), LimitSpec(), "stored")[0].values, values)


def test_few_bits_in_wide_words_are_read_as_gdcm_reads_them():
    values = np.random.default_rng(8).integers(0, 256, (37, 53)).astype(np.uint8)
    dataset = packed(values, 8)
    dataset.BitsAllocated = 16
    assert np.array_equal(decoded(dataset, "imagecodecs"), values)
    assert np.array_equal(decoded(dataset, "gdcm"), values)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    assert precision_of(frame) == precision_of(frame[:2] + b"\xff\xff" + frame[2:]) == 8
    for damaged in (b"", frame[:2], frame[:2] + b"\xff" * 40, b"\0" * 40, frame[:4]):
        with pytest.raises(ValueError, match="no header"):
            precision_of(damaged)


@pytest.mark.filterwarnings("ignore:The .0028,0004. 'Photometric Interpretation'")
@pytest.mark.parametrize("colour", ["RGB", "YBR_FULL"])
def test_colour_is_that_of_gdcm(colour):
    dataset = dcmread(get_testdata_file("SC_rgb_jpeg_gdcm.dcm"))
    dataset.PhotometricInterpretation = colour
    assert np.array_equal(decoded(dataset, "imagecodecs"), decoded(dataset, "gdcm"))


@pytest.mark.parametrize("kept", [0.1, 0.3, 0.9, 1.0])
def test_a_frame_without_its_end_is_refused(kept):
    dataset = packed(np.arange(1600, dtype=np.uint16).reshape(40, 40), 12)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    end = frame.rindex(b"\xff\xd9")
    dataset.PixelData = encapsulate([frame[: int(kept * end)]])
    with pytest.raises(Unreadable, match="truncated or damaged"):
        read_planes(content_of(dataset), LimitSpec())


@pytest.mark.parametrize(("rows", "columns", "bits"), [(41, 40, 12), (20, 40, 12), (40, 40, 8)])
def test_a_frame_that_is_not_as_the_header_says_is_refused(rows, columns, bits):
    dataset = packed(np.arange(1600, dtype=np.uint16).reshape(40, 40), 12)
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = 8 if bits == 8 else 16
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    with pytest.raises(Unreadable, match="truncated or damaged"):
        read_planes(content_of(dataset), LimitSpec())


def test_extended_jpeg_of_12_bits_has_the_values_that_other_decoders_were_seen_to_give() -> None:
    (plane,) = read_planes(content_of(dcmread(get_testdata_file("JPEG-lossy.dcm"))), LimitSpec())
    assert plane.values.shape == (1024, 256)
    assert (plane.values[420, 140], plane.values[230, 120]) == (244, 95)  # as pydicom's own tests hold them
