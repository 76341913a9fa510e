"""What the header of a NIfTI or Analyze file carries about people: its text fields and the codes of its extensions."""

import io
from typing import BinaryIO, Literal

from synthassay.scans.descriptions import ANALYZE_FIELDS, TEXT_FIELDS, nifti_findings
from synthassay.scans.findings import Findings
from synthassay.scans.nifti.content import damage_named, stream_of
from synthassay.scans.nifti.header import LENGTH, nibabel_header

MOST_EXTENSIONS = 64
LARGEST = 1 << 24  # bytes before the voxels that are looked at


def header_findings(content: bytes) -> Findings:
    """What the bytes of a ``.nii``, ``.nii.gz`` or ``.hdr`` file carry. Raises :class:`Unreadable` where it is none."""
    with damage_named("header"):
        block = stream_of(content).read(LENGTH)
        header = nibabel_header(block)
        fields = (*TEXT_FIELDS, *ANALYZE_FIELDS)
        texts = {name: bytes(header[name].item()).decode("latin-1") for name in fields if name in header}
        if "magic" not in header:  # Analyze has no extensions
            return nifti_findings(texts)
        size = int(header["sizeof_hdr"])
        before = min(int(header.get_data_offset()) or len(content), LARGEST)
        return nifti_findings(texts, _extension_codes(stream_of(content), size, before, header.endianness))


def _extension_codes(stream: BinaryIO, start: int, end: int, endianness: str) -> list[int]:
    """Codes of the extensions between the header, which ends at ``start``, and the voxels at ``end``."""
    order: Literal["little", "big"] = "little" if endianness == "<" else "big"
    region = io.BytesIO(stream.read(end)[start:])
    codes: list[int] = []
    if region.read(4)[:1] in (b"", b"\0"):
        return codes
    while len(codes) < MOST_EXTENSIONS and len(fields := region.read(8)) == 8:
        length = int.from_bytes(fields[:4], order, signed=True)
        if length < 8:
            break
        codes.append(int.from_bytes(fields[4:], order, signed=True))
        region.seek(length - 8, io.SEEK_CUR)
    return codes
