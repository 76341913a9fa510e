"""The dataset that :func:`pydicom.dcmread` gives, in a third of its time where the file is plain.

pydicom makes a dozen calls for each element, of which a header has hundreds. Here the plain ones, nearly all, are cut
out of the bytes at once. From the first other element on pydicom reads, and it reads all of a file that begins oddly.
"""

import io
from struct import Struct
from typing import Any

from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement, empty_value_for_VR
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag
from pydicom.uid import (
    AllTransferSyntaxes,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPIPHTJ2KReferenced,
    JPIPHTJ2KReferencedDeflate,
)
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

PREFIX = 132  # bytes before the first element
META, DATASET = (0x00020000, 0x00030000), (0x00080000, 0x7FE00008)  # tags from, to; pixels are left to pydicom
PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
UNDEFINED = 0xFFFFFFFF
# Little endian, and the pixels in the file.
PLAIN = frozenset(map(str, AllTransferSyntaxes)) - {
    DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, JPIPHTJ2KReferenced, JPIPHTJ2KReferencedDeflate,
}  # fmt: skip
# By the two letters: the kind, whether its length has four bytes, and what an empty value is.
KINDS = {kind.encode(): (str(kind), kind in EXPLICIT_VR_LENGTH_32, empty_value_for_VR(kind, raw=True)) for kind in VR}
NO_VALUE = empty_value_for_VR(None, raw=True)
Elements = dict[BaseTag, Any]

_explicit, _implicit, _length = (Struct(layout).unpack_from for layout in ("<HH2sH", "<HHL", "<L"))


def read_plain(stream: io.BytesIO | io.BufferedReader, head: bytes, before_pixels: bool = False) -> FileDataset | None:
    """The dataset of a file that begins with ``head``, as pydicom gives it; None where pydicom should read it all.

    ``before_pixels``: without the pixels and what follows them. Raises what pydicom raises on damage.
    """
    meta, start = _cut(head, PREFIX, *META)
    if not meta or head[start : start + 2] in (b"\0\0", b"\2\0"):  # a command set, or meta elements that are odd
        return None
    file_meta = FileMetaDataset(meta)
    file_meta.set_original_encoding(False, True, default_encoding)
    _ = file_meta[min(meta)], file_meta.get("FileMetaInformationGroupLength")  # which pydicom looks at too
    syntax = str(file_meta.get("TransferSyntaxUID", ""))
    if syntax not in PLAIN:
        return None
    implicit = syntax == ImplicitVRLittleEndian
    elements, end = (_cut_implicit if implicit else _cut)(head, start, *DATASET)
    if not elements:
        return None  # perhaps it is not in this syntax
    dataset = FileDataset(stream, elements, head[: PREFIX - 4], file_meta, implicit, True)
    encoding = _encoding(dataset)
    stream.seek(end)
    stop = (lambda tag, _kind, _length: tag in PIXELS) if before_pixels else None
    try:
        for element in data_element_generator(stream, implicit, True, stop, encoding=encoding):
            elements[element.tag] = element
    except (EOFError, NotImplementedError):  # where pydicom has its own answers
        return None
    dataset.set_original_encoding(implicit, True, _encoding(dataset))
    return dataset


def _encoding(dataset: FileDataset) -> Any:
    element = dataset.get(BaseTag(0x00080005))
    return convert_encodings(element.value) if element else default_encoding


def _cut(content: bytes, at: int, first: int, end: int) -> tuple[Elements, int]:
    """The elements from the place ``at`` on and where the next one begins, which is none of these, or is not plain."""
    elements: Elements = {}
    size, new = len(content), tuple.__new__
    while at + 12 <= size:
        group, number, letters, length = _explicit(content, at)
        tag = group << 16 | number
        if not first <= tag < end or letters not in KINDS:
            break
        kind, long, empty = KINDS[letters]
        begin = at + 8
        if long:
            length, begin = _length(content, begin)[0], at + 12
        if length == UNDEFINED or begin + length > size:
            break
        at = begin + length
        value = content[begin:at] if length else empty
        key = BaseTag(tag)  # made last: its comparisons are slow
        elements[key] = new(RawDataElement, (key, kind, length, value, begin, False, True, True, False))
    return elements, at


def _cut_implicit(content: bytes, at: int, first: int, end: int) -> tuple[Elements, int]:
    """The same where kinds are not written."""
    elements: Elements = {}
    if content[at + 4 : at + 6].isupper():  # kinds are written nevertheless
        return elements, at
    size, new = len(content), tuple.__new__
    while at + 8 <= size:
        group, number, length = _implicit(content, at)
        tag, begin = group << 16 | number, at + 8
        if not first <= tag < end or length == UNDEFINED or begin + length > size:
            break
        at = begin + length
        value = content[begin:at] if length else NO_VALUE
        key = BaseTag(tag)
        elements[key] = new(RawDataElement, (key, None, length, value, begin, True, True, True, False))
    return elements, at
