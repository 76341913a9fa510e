"""Pixels of files that the tests write, and of those in pydicom's wheel."""

import io
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pack_bits, pixel_array
from pydicom.sequence import Sequence
from pydicom.uid import (
    HTJ2K,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    RTDoseStorage,
    SegmentationStorage,
)

from synthassay.scans.dicom.header import read_header
from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable
from tests.scans.dicom_files import save_dicom, texture

LIMITS = LimitSpec()
WHEEL = Path(pydicom.__file__).parent / "data"
DAMAGED = {"MR_truncated.dcm", "JPEG2000-embedded-sequence-delimiter.dcm"}


def wheel_files():
    return [path for path in sorted(WHEEL.rglob("*")) if path.is_file() and path.suffix not in (".py", ".pyc")]


def read(path, **settings):
    return [plane.values for plane in read_planes(path.read_bytes(), LIMITS, **settings)]


def test_every_file_of_pydicoms_wheel_is_read_as_pydicom_reads_it_or_refused_with_a_reason():
    read_ones, refused = 0, {}
    for path in wheel_files():
        try:
            read_header(path, LIMITS)
            planes = read(path)
        except Unreadable as error:
            refused[path.name] = error.reason
            continue
        read_ones += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = dcmread(path)
            stored = pixel_array(data)
            if data.PhotometricInterpretation == "PALETTE COLOR":
                stored = apply_color_lut(stored, data)
        stored = stored.reshape(len(planes), *planes[0].shape)
        if data.PhotometricInterpretation == "MONOCHROME1":
            stored = 2**data.BitsStored - 1 - stored.astype(np.int64)
        if planes[0].ndim == 2:
            assert np.array_equal(planes, np.float32(apply_modality_lut(stored, data))), path.name
        else:
            assert np.allclose(planes, stored / (2.0 ** (8 * stored.itemsize) - 1) * 255, atol=1e-4), path.name
    assert read_ones >= 90
    assert not [name for name, reason in refused.items() if "no decoder" in reason]
    assert {name for name, reason in refused.items() if "damaged" in reason} == DAMAGED


@pytest.mark.parametrize(
    ("bits", "signed"), [(1, False), *((bits, signed) for bits in (8, 10, 12, 16, 32) for signed in (False, True))]
)
def test_every_depth_is_read(tmp_path, bits, signed):
    kind = "i" if signed else "u"
    allocated = {1: 1, 8: 8, 32: 32}.get(bits, 16)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    values = np.random.default_rng(bits).integers(low, high, (16, 24)).astype(f"{kind}{max(1, allocated // 8)}")
    pixels = np.packbits(values, bitorder="little").tobytes() if bits == 1 else values.tobytes()
    save_dicom(tmp_path / "a.dcm", values, BitsAllocated=allocated, BitsStored=bits, HighBit=bits - 1, PixelData=pixels)
    assert np.array_equal(read(tmp_path / "a.dcm")[0], values.astype(np.float32))


RESCALES = [(1, 0), (2, -1024), (-3, 7), (-1, 0), (255, 65536), (255, 65537), (256, 1), (1, 2**25), (0.37, -12.5)]


@pytest.mark.parametrize(("slope", "intercept"), RESCALES)
@pytest.mark.parametrize("kind", ["u2", "i2"])
def test_rescaled_values_are_those_of_double_precision_to_the_bit(tmp_path, kind, slope, intercept):
    every = np.arange(1 << 16, dtype=np.uint16).view(kind).reshape(256, 256)
    save_dicom(tmp_path / "a.dcm", every, RescaleSlope=slope, RescaleIntercept=intercept)
    expected = np.float32(every.astype(np.float64) * slope + intercept)
    assert np.array_equal(read(tmp_path / "a.dcm")[0].view(np.uint32), expected.view(np.uint32))


def test_slices_known_from_the_header_are_taken_where_they_are_as_many_as_the_frames():
    path = next(path for path in wheel_files() if path.name == "SC_rgb_rle_2frame.dcm")
    known, content = read_header(path, LIMITS).slices, path.read_bytes()
    moved = tuple(replace(facts, spacing=(2.0, 3.0)) for facts in known)
    assert [plane.spacing_mm for plane in read_planes(content, LIMITS, known=moved)] == [(2.0, 3.0)] * 2
    for facts in ((), moved[:1], moved * 2):  # of another header than the file's
        planes = read_planes(content, LIMITS, known=facts)
        assert [plane.spacing_mm for plane in planes] == [one.spacing for one in known]
        assert [plane.slice_index for plane in planes] == [0, 1]


@pytest.mark.parametrize("compression", [None, RLELossless])
def test_an_overlay_in_the_unused_bits_is_not_part_of_the_values(tmp_path, compression):
    values = texture(1, top=1 << 12)
    drawn = values | np.where(np.eye(20, dtype=bool), np.uint16(1 << 15), np.uint16(0))
    data = save_dicom(tmp_path / "a.dcm", drawn)
    data.add_new(0x60000010, "US", 20)
    data.add_new(0x60000011, "US", 20)
    data.add_new(0x60000102, "US", 15)
    if compression:
        data.compress(compression, drawn)
    data.BitsStored, data.HighBit = 12, 11
    data.save_as(tmp_path / "a.dcm")
    assert np.array_equal(read(tmp_path / "a.dcm")[0], values)
    assert read_header(tmp_path / "a.dcm", LIMITS).overlays == 1


def test_an_overlay_beside_the_pixels_is_counted_and_not_burnt_in(tmp_path):
    values = texture(1)
    data = save_dicom(tmp_path / "a.dcm", values)
    for group in (0x6000, 0x6002):
        data.add_new((group, 0x0010), "US", 20)
        data.add_new((group, 0x0011), "US", 20)
        data.add_new((group, 0x3000), "OW", b"\xff" * 50)
    data.save_as(tmp_path / "a.dcm")
    assert np.array_equal(read(tmp_path / "a.dcm")[0], values)
    assert read_header(tmp_path / "a.dcm", LIMITS).overlays == 2


@pytest.mark.parametrize("signed", [False, True])
def test_stored_bits_at_the_top_of_the_word_are_read(tmp_path, signed):
    values = texture(3, top=1 << 12).astype(np.int16 if signed else np.uint16) - (2048 if signed else 0)
    save_dicom(tmp_path / "a.dcm", values << 4, BitsStored=12, HighBit=15)
    assert np.array_equal(read(tmp_path / "a.dcm")[0], values.astype(np.float32))


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_float_pixels_are_read(tmp_path, keyword):
    values = np.random.default_rng(0).normal(size=(12, 10)).astype("f4" if keyword.startswith("Float") else "f8")
    data = save_dicom(tmp_path / "a.dcm", values, BitsAllocated=8 * values.itemsize)
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(data, name)
    setattr(data, keyword, values.tobytes())
    data.save_as(tmp_path / "a.dcm")
    assert np.array_equal(read(tmp_path / "a.dcm")[0], values.astype(np.float32))


def test_colour_is_the_same_by_pixel_and_by_plane(tmp_path):
    colours = texture(4, shape=(20, 20, 3), top=256).astype(np.uint8)
    save_dicom(tmp_path / "a.dcm", colours, PlanarConfiguration=1, PixelData=np.moveaxis(colours, 2, 0).tobytes())
    assert np.array_equal(read(tmp_path / "a.dcm")[0], colours)


def test_a_segmented_palette_gives_its_colours(tmp_path):
    data = save_dicom(tmp_path / "a.dcm", np.arange(256, dtype=np.uint8).reshape(16, 16),
                      PhotometricInterpretation="PALETTE COLOR")  # fmt: skip
    for name, last in (("Red", 255), ("Green", 128), ("Blue", 0)):
        setattr(data, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        segments = np.array([0, 1, 0, 1, 255, 257 * last], np.uint16)  # one entry of 0, then a line up to the last
        setattr(data, f"Segmented{name}PaletteColorLookupTableData", segments.tobytes())
    data.save_as(tmp_path / "a.dcm")
    (colours,) = read(tmp_path / "a.dcm")
    assert np.allclose(colours[..., 0].ravel(), np.arange(256), atol=0.01)
    assert np.allclose(colours[..., 1].ravel(), np.arange(256) * 128 / 255, atol=0.01)
    assert not colours[..., 2].any()


@pytest.mark.parametrize(
    ("bits", "entries"),
    [(8, np.arange(256, dtype="u1")), (16, np.arange(256, dtype="<u2") * 257),
     (8, np.arange(256, dtype="<u2")), (16, np.arange(256, dtype="<u2"))],
    ids=["bytes", "words", "bytes in words", "bytes in words that say 16 bits"],
)  # fmt: skip
def test_a_palette_gives_its_colours_however_its_entries_are_written(tmp_path, bits, entries):
    data = save_dicom(tmp_path / "a.dcm", np.arange(256, dtype=np.uint8).reshape(16, 16),
                      PhotometricInterpretation="PALETTE COLOR")  # fmt: skip
    for name in ("Red", "Green", "Blue"):
        setattr(data, f"{name}PaletteColorLookupTableDescriptor", [256, 0, bits])
        setattr(data, f"{name}PaletteColorLookupTableData", entries.tobytes())
    data.save_as(tmp_path / "a.dcm")
    (colours,) = read(tmp_path / "a.dcm")
    assert np.allclose(colours, np.arange(256.0).reshape(16, 16, 1), atol=1e-4)


@pytest.mark.parametrize("coarser", [True, False])
@pytest.mark.parametrize("said", ["RGB", "YBR_FULL_422"])
def test_jpeg_of_a_coarser_colour_grid_is_no_rgb_whatever_the_header_says(tmp_path, coarser, said):
    ramp = np.arange(64, dtype=np.uint8) * 4
    colours = np.stack([np.tile(ramp, (64, 1)), np.tile(ramp[:, None], (1, 64)), np.tile(255 - ramp, (64, 1))], axis=2)
    stream = io.BytesIO()
    Image.fromarray(colours).save(stream, "JPEG", quality=95, subsampling=2 if coarser else 0)
    content = stream.getvalue()
    assert content[2:4] == b"\xff\xe0"  # the JFIF segment, by which pydicom would know
    data = save_dicom(tmp_path / "a.dcm", colours, PhotometricInterpretation=said)
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data.PixelData = encapsulate([content[:2] + content[20:]])
    data.save_as(tmp_path / "a.dcm")
    close = float(np.abs(read(tmp_path / "a.dcm")[0] - colours).mean()) < 1
    assert close == (coarser or said != "RGB")  # with equal grids the header is believed


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_signed_values_survive_every_lossless_compression(tmp_path, syntax):
    values = texture(5, shape=(64, 48), top=1 << 12).astype(np.int16) - 2048
    data = save_dicom(tmp_path / "a.dcm", values, BitsStored=12, HighBit=11)
    data.compress(syntax, values)
    data.save_as(tmp_path / "a.dcm")
    assert np.array_equal(read(tmp_path / "a.dcm")[0], values.astype(np.float32))


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "colour"])
def test_high_throughput_jpeg_2000_gives_the_values_that_were_packed(tmp_path, syntax, kind):
    encode = pytest.importorskip("imagecodecs").htj2k_encode
    if kind == "colour":
        values, space = texture(6, shape=(48, 40, 3), top=256).astype("u1"), "YBR_RCT"
    else:
        values, space = (texture(6, shape=(48, 40), top=250) - (125 if kind == "i2" else 0)).astype(kind), "MONOCHROME2"
    data = save_dicom(tmp_path / "a.dcm", values, PhotometricInterpretation=space)
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate([bytes(encode(values, reversible=True))])
    data.save_as(tmp_path / "a.dcm")
    assert np.array_equal(read(tmp_path / "a.dcm")[0], values.astype(np.float32))


def test_jpeg_2000_whose_sign_the_header_does_not_know_is_refused(tmp_path):
    values = texture(7, shape=(64, 64), top=4000).astype(np.int16) - 2000
    data = save_dicom(tmp_path / "a.dcm", values)
    data.compress(JPEG2000Lossless, values)
    data.save_as(tmp_path / "a.dcm")
    assert np.array_equal(read(tmp_path / "a.dcm")[0], values)
    data.PixelRepresentation = 0
    data.save_as(tmp_path / "a.dcm")
    with pytest.raises(Unreadable, match="contradicts the compression"):
        read(tmp_path / "a.dcm")


def lookup(entries, first, bits):
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [len(entries), first, bits], np.asarray(entries, np.uint16).tobytes()
    table["LUTData"].VR = "OW"
    return table


def test_a_modality_lut_is_applied_as_pydicom_does(tmp_path):
    values = texture(6, top=256)
    entries = np.random.default_rng(0).integers(0, 1 << 16, 256)
    table = lookup(entries, 0, 16)
    table.ModalityLUTType = "US"
    data = save_dicom(tmp_path / "a.dcm", values, ModalityLUTSequence=Sequence([table]))
    assert np.array_equal(read(tmp_path / "a.dcm")[0], entries[values])
    assert np.array_equal(apply_modality_lut(values, data), entries[values])
    data.PhotometricInterpretation = "MONOCHROME1"
    data.save_as(tmp_path / "a.dcm")
    assert np.array_equal(read(tmp_path / "a.dcm")[0], 65535 - entries[values])


def test_frames_in_time_have_a_number_and_no_place(tmp_path):
    frames = np.stack([texture(i) for i in range(3)])
    for tags, places in (({}, [0, 0.5, 1]), ({"FrameTime": "33.3"}, [None] * 3), ({"CineRate": "30"}, [None] * 3)):
        save_dicom(tmp_path / "a.dcm", frames[0], PixelData=frames.tobytes(), NumberOfFrames=3, **tags)
        planes = read_planes((tmp_path / "a.dcm").read_bytes(), LIMITS)
        assert [(plane.slice_index, plane.slice_position) for plane in planes] == list(enumerate(places))


def test_units_as_stored_leave_the_rescale_out(tmp_path):
    values = texture(7)
    save_dicom(tmp_path / "a.dcm", values, RescaleSlope="2", RescaleIntercept="-1024")
    assert np.array_equal(read(tmp_path / "a.dcm", units="stored")[0], values)
    assert np.array_equal(read(tmp_path / "a.dcm")[0], values * 2.0 - 1024)


def test_the_window_of_the_header_is_that_of_the_standard(tmp_path):
    values = texture(8, top=2000)
    save_dicom(tmp_path / "a.dcm", values, RescaleSlope="1", RescaleIntercept="-1000", WindowCenter=["40", "300"],
               WindowWidth=["400", "1500"])  # fmt: skip
    expected = np.clip((values - 1000.0 - 39.5) / 399 + 0.5, 0, 1)  # PS3.3 C.11.2.1.2.1
    assert np.allclose(read(tmp_path / "a.dcm", header_window=True)[0], expected, atol=1e-6)
    data = dcmread(tmp_path / "a.dcm")
    data.PhotometricInterpretation = "MONOCHROME1"
    data.save_as(tmp_path / "b.dcm")
    assert np.allclose(read(tmp_path / "b.dcm", header_window=True)[0], 1 - expected, atol=1e-6)


def test_a_voi_lut_goes_before_the_window(tmp_path):
    values = texture(9, top=16)
    entries = np.random.default_rng(1).integers(0, 1024, 16)
    save_dicom(tmp_path / "a.dcm", values, VOILUTSequence=Sequence([lookup(entries, 0, 10)]), WindowCenter="8",
               WindowWidth="4")  # fmt: skip
    assert np.allclose(read(tmp_path / "a.dcm", header_window=True)[0], entries[values] / 1023, atol=1e-6)


def test_a_header_without_a_window_is_refused_where_one_is_asked_for(tmp_path):
    save_dicom(tmp_path / "a.dcm", texture(1))
    with pytest.raises(Unreadable, match=r"no window in the header \(cohort\.window\.mode=header"):
        read(tmp_path / "a.dcm", header_window=True)
    save_dicom(tmp_path / "b.dcm", texture(1), WindowCenter="10", WindowWidth="0")
    with pytest.raises(Unreadable, match="shows nothing"):
        read(tmp_path / "b.dcm", header_window=True)


def test_a_header_without_pixels_and_an_unknown_compression_are_named(tmp_path):
    data = save_dicom(tmp_path / "a.dcm", texture(1))
    del data.PixelData
    data.save_as(tmp_path / "a.dcm")
    with pytest.raises(Unreadable, match="holds no image"):
        read(tmp_path / "a.dcm")
    save_dicom(tmp_path / "b.dcm", texture(1))
    content = (tmp_path / "b.dcm").read_bytes()
    (tmp_path / "b.dcm").write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.9\0"))
    with pytest.raises(Unreadable, match="no decoder") as caught:
        read(tmp_path / "b.dcm")
    assert caught.value.found == "unknown"


def test_single_bits_of_frames_that_begin_within_a_byte_are_read(tmp_path):
    bits = (np.random.default_rng(0).random((3, 5, 7)) > 0.5).astype(np.uint8)
    save_dicom(tmp_path / "a.dcm", bits[0], NumberOfFrames=3, BitsAllocated=1, BitsStored=1, HighBit=0,
               PixelData=pack_bits(bits))  # fmt: skip
    assert np.array_equal(read(tmp_path / "a.dcm"), bits)


@pytest.mark.parametrize("stated", [1, 2, 4, None])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_with_other_frames_than_its_header_says_is_refused(tmp_path, stated, compressed):
    frames = np.stack([texture(i) for i in range(3)])
    data = save_dicom(tmp_path / "a.dcm", frames[0], PixelData=frames.tobytes(), NumberOfFrames=3)
    if compressed:
        data.compress(RLELossless)
    data.save_as(tmp_path / "a.dcm")
    assert np.array_equal(read(tmp_path / "a.dcm"), frames)
    data.NumberOfFrames = stated
    data.save_as(tmp_path / "a.dcm")
    with pytest.raises(Unreadable) as caught:
        read(tmp_path / "a.dcm")
    if compressed or stated != 4:
        more = "fewer" if stated == 4 else "more"
        assert (caught.value.field, caught.value.reason) == ("NumberOfFrames", f"the file holds {more} frames")


def test_an_empty_rescale_is_none_and_half_of_one_is_refused_unless_it_changes_nothing(tmp_path):
    values = texture(1)
    for nothing in ({"RescaleSlope": None, "RescaleIntercept": None}, {"RescaleSlope": "1"}, {"RescaleIntercept": "0"}):
        save_dicom(tmp_path / "a.dcm", values, **nothing)
        assert np.array_equal(read(tmp_path / "a.dcm")[0], values)
    for missing, half in (("RescaleSlope", {"RescaleIntercept": "-1024"}), ("RescaleIntercept", {"RescaleSlope": "2"}),
                          ("RescaleSlope", {"RescaleSlope": "0", "RescaleIntercept": "3"})):  # fmt: skip
        save_dicom(tmp_path / "a.dcm", values, **half)
        with pytest.raises(Unreadable, match=r"cohort\.units") as caught:
            read(tmp_path / "a.dcm")
        assert caught.value.field == missing
        assert np.array_equal(read(tmp_path / "a.dcm", units="stored")[0], values)


@pytest.mark.parametrize("keyword", ["SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
                                     "PixelRepresentation", "PlanarConfiguration"])  # fmt: skip
def test_what_says_how_pixels_are_stored_is_named_where_it_is_absent(tmp_path, keyword):
    colour = keyword == "PlanarConfiguration"
    data = save_dicom(tmp_path / "a.dcm", texture(1, shape=(20, 20, 3)).astype("u1") if colour else texture(1))
    delattr(data, keyword)
    data.save_as(tmp_path / "a.dcm")
    with pytest.raises(Unreadable, match="how its pixels are stored") as caught:
        read(tmp_path / "a.dcm")
    assert (caught.value.field, caught.value.found) == (keyword, "absent")


def test_an_exact_window_may_be_narrower_than_one(tmp_path):
    save_dicom(tmp_path / "a.dcm", texture(8), RescaleSlope="0.001", RescaleIntercept="0", WindowCenter="0.5",
               WindowWidth="0.5", VOILUTFunction="LINEAR_EXACT")  # fmt: skip
    expected = np.clip((texture(8) * 0.001 - 0.5) / 0.5 + 0.5, 0, 1)  # PS3.3 C.11.2.1.3.2
    assert np.allclose(read(tmp_path / "a.dcm", header_window=True)[0], expected, atol=1e-5)
    data = dcmread(tmp_path / "a.dcm")
    del data.VOILUTFunction
    data.save_as(tmp_path / "a.dcm")
    with pytest.raises(Unreadable, match="shows nothing"):
        read(tmp_path / "a.dcm", header_window=True)


@pytest.mark.parametrize(("kind", "made"), [(SegmentationStorage, "a segmentation"), (RTDoseStorage, "a planned dose")])
def test_what_is_made_from_scans_is_none(tmp_path, kind, made):
    save_dicom(tmp_path / "a.dcm", texture(1), SOPClassUID=kind)
    for reading in (lambda path: read_header(path, LIMITS), read):
        with pytest.raises(Unreadable, match=f"not a scan: {made}"):
            reading(tmp_path / "a.dcm")
