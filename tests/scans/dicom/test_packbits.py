"""imagecodecs as a plugin of pydicom for RLE, beside pylibjpeg-rle."""

import random
from io import BytesIO
from pathlib import Path
from struct import pack

import numpy as np
import pydicom
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import RLELossless

from synthassay.scans.dicom import packbits
from synthassay.scans.dicom.decoders import decoder_of
from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable

rle = pytest.importorskip("rle")
pytest.importorskip("imagecodecs")
FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"


def frame_of(planes: np.ndarray) -> bytes:
    """One frame of byte planes ``[segments, h, w]``, the highest byte of each sample first."""
    segments = [bytes(rle.rle.encode_segment(plane.tobytes(), plane.shape[1])) for plane in planes]
    starts = [64 + sum(map(len, segments[:place])) for place in range(len(segments))]
    return pack("<16I", len(segments), *starts, *[0] * (15 - len(segments))) + b"".join(segments)


def bytes_of(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Noise, or in every second case runs."""
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return np.repeat(values[..., :1], shape[-1], axis=-1) if seed % 2 else values


def quick(frame: bytes, pixels: int, samples: int, bits: int) -> bytes | None:
    decoded = packbits._decoded(frame, pixels, samples, bits)
    return None if decoded is None else decoded.tobytes()


def by_pylibjpeg(frame: bytes, rows: int, columns: int, bits: int) -> bytes | None:
    try:
        return bytes(rle.decode_pixel_data(frame, version=2, rows=rows, columns=columns, bits_allocated=bits))
    except BaseException:  # some damage makes it panic
        return None


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("samples", [1, 3])
def test_every_depth_is_read_at_once_and_as_pylibjpeg_reads_it(samples, bits, seed):
    frame = frame_of(bytes_of((samples * bits // 8, 37, 53), seed))
    decoded = quick(frame, 37 * 53, samples, bits)
    assert decoded is not None
    assert decoded == by_pylibjpeg(frame, 37, 53, bits)


@pytest.mark.filterwarnings("ignore")
def test_pydicoms_own_files_give_the_values_of_the_other_plugins():
    paths = [*sorted(FOLDER.rglob("*rle*.dcm")), *sorted(FOLDER.rglob("*RLE*.dcm"))]
    decoder = get_decoder(RLELossless)
    assert len(paths) >= 8
    assert decoder_of(RLELossless) == "imagecodecs"
    for path in paths:
        first, *others = (decoder.as_array(dcmread(path), decoding_plugin=name)[0]
                          for name in ("imagecodecs", "pylibjpeg", "pydicom"))  # fmt: skip
        assert all(np.array_equal(first, other) for other in others), path.name


def test_what_is_read_at_once_of_damaged_frames_is_what_pylibjpeg_reads():
    draw, read = random.Random(20261129), 0
    for case in range(1500):
        rows, columns = draw.randint(1, 30), draw.randint(1, 30)
        samples, size = draw.choice([1, 3]), draw.choice([1, 2, 4])
        frame = bytearray(frame_of(bytes_of((samples * size, rows, columns), case)))
        kind, at = case % 6, draw.randrange(len(frame))
        if kind == 1:
            frame[at] ^= 1 << draw.randrange(8)
        elif kind == 2:
            del frame[at:]
        elif kind == 3:
            frame += draw.randbytes(draw.randint(1, 9))
        elif kind == 4:
            frame[draw.randrange(64)] = draw.randrange(256)
        elif kind == 5:
            rows += draw.choice([-1, 1])
        decoded = quick(bytes(frame), rows * columns, samples, 8 * size)
        if decoded is not None:
            assert decoded == by_pylibjpeg(bytes(frame), rows, columns, 8 * size), case
            read += 1
    assert 300 < read < 900


def file_of(frame: bytes) -> bytes:
    dataset = dcmread(get_testdata_file("MR_small_RLE.dcm"))
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    stream = BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def test_padding_is_read_and_a_frame_that_ends_early_or_has_another_depth_is_refused():
    source = dcmread(get_testdata_file("MR_small_RLE.dcm"))
    frame = next(generate_frames(source.PixelData, number_of_frames=1))
    whole = read_planes(file_of(frame), LimitSpec())[0].values
    assert np.array_equal(read_planes(file_of(frame + b"\0\0"), LimitSpec())[0].values, whole)
    one_segment = frame[:8] + bytes(56) + frame[64:]
    for bad in (frame[: len(frame) // 2], frame[:64], frame[:30], one_segment):
        with pytest.raises(Unreadable, match="truncated or damaged"):
            read_planes(file_of(bad), LimitSpec())
