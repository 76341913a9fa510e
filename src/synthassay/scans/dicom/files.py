"""Opening a DICOM file that nobody vouches for.

A file without the DICOM prefix is one if it begins as old exports do, with the first group of a header. No text of a
header enters a message: pydicom's own warnings and errors quote values, so warnings are silenced and errors are named
by their type only.
"""

import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from struct import unpack
from typing import Any

import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset, read_preamble
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import VR

from synthassay.scans.limits import LimitSpec, check_inflated, check_size
from synthassay.scans.unreadable import Unreadable

# Files that hold the address of their pixels (JPIP), not the pixels.
ELSEWHERE = frozenset({
    "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.204", "1.2.840.10008.1.2.4.205",
})  # fmt: skip
BLOCK = 1 << 20
PIXEL_DATA, UNDEFINED = 0x7FE00010, 0xFFFFFFFF  # tag, length
ITEM, ITEM_BIG = b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"
MOST_BEHIND = 1 << 18  # bytes behind the pixel data that are looked into
PREFIX = 132  # bytes: the preamble and DICM
REPRESENTATIONS = frozenset(str(one).encode() for one in VR)
FIRST_ELEMENT, LONGEST_FIRST = 0x0018, 1 << 8  # of group 0008, in a header without a prefix


@contextmanager
def guarded(field: str, reason: str) -> Iterator[None]:
    """Silences warnings and turns what pydicom and its decoders raise on damaged data into :class:`Unreadable`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (Unreadable, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except (
            BaseException
        ) as error:  # a damaged file can fail in any converter; decoders in Rust panic with this kind
            if isinstance(error, OSError) and error.errno:  # the disk's; decoders raise it without a number
                raise
            raise Unreadable(field, type(error).__name__, reason) from error


class _BoundedReader(io.BufferedReader):
    """A file of which at most ``limits.header_mib`` are read, and never more memory taken than it has bytes.

    What is read to be inflated (``read1``) has a limit of its own.
    """

    def __init__(self, path: Path, limits: LimitSpec) -> None:
        super().__init__(io.FileIO(path))
        self._size, self._room = path.stat().st_size, limits.header_mib << 20

    def read(self, size: int | None = -1) -> bytes:
        """As many bytes as asked for, or as there are. Raises :class:`Unreadable` over the limit."""
        if size is None or size < 0 or size > BLOCK:  # a damaged length, or all that there is
            left = max(0, self._size - self.tell())
            size = left if size is None or size < 0 else min(size, left)
        self._room -= size
        if self._room < 0:
            raise Unreadable("header", "too large", "more than limits.header_mib before the pixels")
        return super().read(size)


def open_header(path: Path, limits: LimitSpec) -> Any:
    """The dataset of a file without its pixels.

    Raises :class:`Unreadable` for what is no DICOM file, is over the limits, or is damaged.
    """
    check_size(path, limits)
    with _BoundedReader(path, limits) as stream:
        begins = stream.read(PREFIX)
        if begins[128:] != b"DICM" and not _is_bare(begins):
            raise Unreadable("file", "no DICM prefix", "not a scan: not a DICOM file")
        with guarded("header", "the DICOM header is damaged"):
            return _dataset(stream, limits, before_pixels=True)


def _is_bare(begins: bytes) -> bool:
    """Whether a file begins with the meta information, or with an element of the first group, and not the prefix."""
    if len(begins) < PREFIX:
        return False
    group, element, length = unpack("<HHI", begins[:8])
    if group == 0x0002:
        return bool(element == 0 and begins[4:6] == b"UL")
    explicit = begins[4:6] in REPRESENTATIONS
    return bool(group == 0x0008 and element <= FIRST_ELEMENT and (explicit or length <= LONGEST_FIRST))


def open_content(content: bytes, limits: LimitSpec) -> Any:
    """The whole dataset of a file's bytes. Raises :class:`Unreadable` as :func:`open_header` does."""
    with guarded("header", "the DICOM header is damaged"):
        return _dataset(io.BytesIO(content), limits)


def _dataset(stream: io.BytesIO | io.BufferedReader, limits: LimitSpec, before_pixels: bool = False) -> Any:
    stream.seek(0)
    bare = read_preamble(stream, force=True) is None
    meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2)
    syntax = str(meta.get("TransferSyntaxUID", "")).strip()
    if syntax in ELSEWHERE:
        raise Unreadable("TransferSyntaxUID", "JPIP", "the pixels lie on a server, not in the file")
    if syntax != DeflatedExplicitVRLittleEndian:
        stream.seek(0)
        dataset = pydicom.dcmread(stream, stop_before_pixels=before_pixels, force=bare)
        if before_pixels:
            _add_what_follows(stream, dataset)
        if not syntax:
            dataset.file_meta.TransferSyntaxUID = _plain_syntax(dataset)
        return dataset
    plain = _plain(meta, inflate(stream, limits))  # pydicom would inflate it without a bound
    dataset = pydicom.dcmread(plain, stop_before_pixels=before_pixels)
    if before_pixels:
        _add_what_follows(plain, dataset)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return dataset


def _add_what_follows(stream: Any, dataset: Any) -> None:
    """Adds the elements behind the pixel data (signatures, private ones) from a stream that stands before these.

    The pixels are not read, and what cannot be read behind them is left.
    """
    implicit, little = dataset.original_encoding
    number = partial(int.from_bytes, byteorder="little" if little else "big")
    with suppress(Exception):
        start = stream.read(8)
        length = number(start[4:] if implicit else stream.read(4))
        while length == UNDEFINED:  # items up to a delimiter
            item = stream.read(8)
            if item[:4] != (ITEM if little else ITEM_BIG):
                break
            stream.seek(number(item[4:]), io.SEEK_CUR)
        else:
            stream.seek(length, io.SEEK_CUR)
        if behind := stream.read(MOST_BEHIND):
            elements = read_dataset(io.BytesIO(behind), implicit, little)
            dataset.update({raw.tag: raw for raw in elements.values() if raw.tag > PIXEL_DATA})


def _plain_syntax(dataset: Any) -> UID:
    """The transfer syntax of a file that does not name it, by how its header is written."""
    if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
        raise Unreadable("TransferSyntaxUID", "absent", "how its pixels are compressed is not written")
    implicit, little = dataset.original_encoding
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _plain(meta: Any, content: bytes) -> DicomBytesIO:
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plain = DicomBytesIO()
    plain.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(plain, meta, enforce_standard=False)
    plain.write(content)
    plain.seek(0)
    return plain


def inflate(stream: io.BytesIO | io.BufferedReader, limits: LimitSpec) -> bytes:
    """The rest of ``stream``, raw deflate (RFC 1951). Raises :class:`Unreadable` over ``limits.inflated_mib``."""
    inflater, room = zlib.decompressobj(-zlib.MAX_WBITS), limits.inflated_mib << 20
    content = bytearray()
    while not inflater.eof and (block := inflater.unconsumed_tail or stream.read1(BLOCK)):
        content += inflater.decompress(block, room + 1 - len(content))
        if len(content) > room:
            check_inflated(len(content), limits)
    content += inflater.flush()
    if not inflater.eof:
        raise Unreadable("file", "the compressed content ends early", "the file is truncated")
    return bytes(content)
