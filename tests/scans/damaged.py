"""Tiny valid files of every format, damage to their bytes, and a reader for processes that import it by name."""

import gzip
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
from PIL import Image
from pydicom.data import get_testdata_file

from synthassay.cohorts import array_files, nifti, photographs
from synthassay.cohorts.dicom_sources import read_source
from synthassay.cohorts.reading import READERS
from synthassay.cohorts.specs import ArraySpec, DicomSpec, ImagesSpec, LabelSpec, NiftiSpec
from synthassay.generators.external.items import Item, rows_of
from synthassay.generators.external.readers import read_planes
from synthassay.generators.external.specs import ExternalArrays, ExternalSpec
from synthassay.scans import arrays
from synthassay.scans.limits import LimitSpec
from synthassay.scans.pool import explained
from synthassay.scans.unreadable import Unreadable

LIMITS = LimitSpec(file_mib=8, voxels=1 << 22, frames=256, header_mib=1, inflated_mib=32, seconds=20, memory_mib=1024)
COMMON = {"name": "fuzz", "size": 8, "label": LabelSpec(source="none"), "limits": LIMITS}
SPECS = {
    "dicom": DicomSpec(**COMMON),
    "nifti": NiftiSpec(**COMMON),
    "images": ImagesSpec(**COMMON, arrays=ArraySpec(rows={"label": "*_labels"})),
}
EXTERNAL = ExternalSpec(limits=LIMITS, arrays=ExternalArrays(images="*_images", labels="*_labels"))
POLICY = {"mode": "fixed", "low": 0.0, "high": 255.0, "percentiles": None, "fit": "crop"}
DICOM = {  # pydicom's own, of a few kilobytes each: every way in which pixels are written
    "explicit": "MR_small.dcm", "implicit": "MR_small_implicit.dcm", "big endian": "MR_small_bigendian.dcm",
    "RLE": "MR_small_RLE.dcm", "RLE colour, frames": "SC_rgb_rle_2frame.dcm",
    "JPEG-LS": "MR_small_jpeg_ls_lossless.dcm", "JPEG lossless colour": "SC_rgb_jpeg_gdcm.dcm",
    "JPEG-LS near-lossless": "JPEGLSNearLossless_16.dcm", "JPEG 2000": "MR_small_jp2klossless.dcm",
    "JPEG baseline": "SC_rgb_jpeg_dcmtk.dcm", "JPEG colour": "SC_rgb_small_odd_jpeg.dcm",
    "deflated": "image_dfl.dcm", "32 bits, frames": "SC_rgb_rle_32bit_2frame.dcm", "JPEG 2000 lossy": "JPEG2000.dcm",
    "colour": "SC_rgb_small_odd.dcm",
}  # fmt: skip
EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\xff\xff", b"\0\0\0\x80", b"\0\x80", b"\0")


def dicom_files() -> dict[str, bytes]:
    """One valid DICOM file of each kind."""
    return {f"DICOM {kind}.dcm": Path(get_testdata_file(name)).read_bytes() for kind, name in DICOM.items()}


def volume_files() -> dict[str, bytes]:
    """NIfTI-1 and NIfTI-2, plain and compressed, in three data types."""
    values = np.random.default_rng(0).integers(0, 200, (6, 7, 5))
    short = nib.Nifti1Image(values.astype(np.int16), np.diag([-1.0, 2.0, 3.0, 1.0]))
    short.header.set_slope_inter(2.0, -1.0)
    double = nib.Nifti2Image(values.astype(np.float64), np.eye(4))
    series = nib.Nifti1Image(values.astype(np.uint8)[..., None], np.eye(4))
    return {
        "NIfTI-1.nii": short.to_bytes(), "NIfTI-1.nii.gz": gzip.compress(short.to_bytes(), mtime=0),
        "NIfTI-2.nii": double.to_bytes(), "NIfTI-2.nii.gz": gzip.compress(double.to_bytes(), mtime=0),
        "NIfTI series.nii": series.to_bytes(),
    }  # fmt: skip


def picture_files() -> dict[str, bytes]:
    """PNG, JPEG and TIFF of 8 and 16 bits, in grey and colour, with pages and a palette."""
    colour = np.random.default_rng(0).integers(0, 255, (9, 11, 3)).astype(np.uint8)
    rgb, grey = Image.fromarray(colour), Image.fromarray(colour[..., 0])
    sixteen = Image.fromarray(colour[..., 0].astype(np.uint16) * 257)
    written = {
        "PNG.png": (rgb, {}), "PNG 16.png": (sixteen, {}), "PNG palette.png": (rgb.quantize(8), {}),
        "JPEG.jpg": (rgb, {}), "JPEG progressive.jpg": (grey, {"progressive": True}), "TIFF 16.tif": (sixteen, {}),
        "TIFF pages.tif": (grey, {"save_all": True, "append_images": [grey, grey]}),
        "TIFF LZW.tif": (rgb, {"compression": "tiff_lzw"}),
        "TIFF deflate.tif": (rgb, {"compression": "tiff_adobe_deflate"}),
    }  # fmt: skip
    kinds = {"png": "PNG", "jpg": "JPEG", "tif": "TIFF"}
    files = {}
    for name, (image, options) in written.items():
        stream = io.BytesIO()
        image.save(stream, kinds[name.rpartition(".")[2]], **options)
        files[name] = stream.getvalue()
    return files


def array_containers() -> dict[str, bytes]:
    """NPZ and HDF5 files, plain and compressed, of 8 and 16 bits and floats."""
    random = np.random.default_rng(0)
    images = {"x_images": random.integers(0, 255, (4, 9, 8), dtype=np.uint8), "x_labels": np.arange(4)[:, None],
              "y_images": random.random((2, 8, 8, 3), np.float32), "y_labels": np.arange(2)}  # fmt: skip
    files = {}
    for name, save in (("stored.npz", np.savez), ("deflated.npz", np.savez_compressed)):
        stream = io.BytesIO()
        save(stream, **images)
        files[name] = stream.getvalue()
    for name, options in (("plain.h5", {}), ("gzip.h5", {"compression": "gzip", "shuffle": True})):
        stream = io.BytesIO()
        with h5py.File(stream, "w") as file:
            for array, values in images.items():
                file.create_dataset(array, data=values, **options)
        files[name] = stream.getvalue()
    return files


class Damage:
    """Flips bits, replaces numbers by extremes, cuts parts out or off, and splices in parts of other files."""

    def __init__(self, others: list[bytes], random: np.random.Generator) -> None:
        self.others, self.random = others, random

    def done_to(self, content: bytes) -> bytes:
        """One or two kinds of damage, in half of the cases to the first kilobyte, where headers are."""
        data = bytearray(content)
        kinds = (self._flip, self._flip, self._replace, self._replace, self._splice, self._truncate, self._cut)
        within = 1024 if self.random.random() < 0.5 else len(data)
        for _ in range(self._number(1, 3)):
            if data:
                kinds[self._number(0, len(kinds))](data, min(within, len(data)))
        return bytes(data)

    def _number(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high))

    def _flip(self, data: bytearray, within: int) -> None:
        for _ in range(self._number(1, 9)):
            data[self._number(0, within)] ^= 1 << self._number(0, 8)

    def _replace(self, data: bytearray, within: int) -> None:
        for _ in range(self._number(1, 4)):
            start, value = self._number(0, within), EXTREMES[self._number(0, len(EXTREMES))]
            data[start : start + len(value)] = value

    def _truncate(self, data: bytearray, within: int) -> None:
        del data[self._number(0, within) :]

    def _cut(self, data: bytearray, within: int) -> None:
        start = self._number(0, within)
        del data[start : start + self._number(1, 65)]

    def _splice(self, data: bytearray, within: int) -> None:
        other = self.others[self._number(0, len(self.others))]
        start, take, length = self._number(0, within), self._number(0, len(other)), self._number(1, 257)
        data[start : start + (length if self.random.random() < 0.8 else 0)] = other[take : take + length]


def cases(files: dict[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """``count`` damaged files: of compressed ones, every second before it is compressed."""
    random = np.random.default_rng(seed)
    names, damage = list(files), Damage(list(files.values()), random)
    for number in range(count):
        name = names[number % len(names)]
        if name.endswith(".gz") and random.random() < 0.5:
            yield name, gzip.compress(damage.done_to(gzip.decompress(files[name])), mtime=0)
        else:
            yield name, damage.done_to(files[name])


def read(item: tuple[str, bytes]) -> str | Unreadable:
    """The file as a cohort and as an external set read it: ``images``, or why one of them does not."""
    name, content = item
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        outcomes = [_outcome(lambda: _as_cohort(path)), _outcome(lambda: _as_external(path))]
    return next((outcome for outcome in outcomes if isinstance(outcome, Unreadable)), "images")


def _outcome(reading: Callable[[], object]) -> str | Unreadable:
    try:
        reading()
    except (Unreadable, OSError) as error:
        return explained(error)
    return "images"


def _as_cohort(path: Path) -> object:
    root, name = path.parent, path.name
    if name.endswith(arrays.SUFFIXES):
        sources = array_files.describe(root, name, SPECS["images"])
        return [array_files.read_images(root, source, SPECS["images"]) for source in (sources[0], sources[-1])]
    if name.endswith(".dcm"):
        source, kind = read_source(root, name, SPECS["dicom"]), "dicom"
    elif name.endswith((".nii", ".nii.gz")):
        source, kind = nifti.NiftiFolder(root, [name], SPECS["nifti"]).describe(name)[0], "nifti"
    else:
        source, kind = photographs.describe(name, SPECS["images"], ())[0], "images"
    images = READERS[kind](root, source, SPECS[kind])
    assert images.pixels.shape[2:] == (8, 8)
    assert np.isfinite(images.pixels).all()
    return images


def _as_external(path: Path) -> object:
    root, name = path.parent, path.name
    if not name.endswith(arrays.SUFFIXES):
        return read_planes(root, Item(name), EXTERNAL, POLICY)
    items = rows_of(root, name, EXTERNAL, volumes=False)
    return [read_planes(root, item, EXTERNAL, POLICY) for item in (items[0], items[-1])]
