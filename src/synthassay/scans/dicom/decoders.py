"""Which decoder reads which transfer syntax: one each, chosen here, so that a file gives the same pixels everywhere.

Decoders of lossy JPEG differ in the last bit. Of the candidates of a syntax, in order, the first installed one is used
for every file; none is tried after another has failed.
"""

import io
from typing import Any

from PIL import Image
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import get_j2k_parameters
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from synthassay.scans.dicom import jpeg_turbo, packbits
from synthassay.scans.dicom.files import inflate
from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable

# Deflated Image Frame Compression, Encapsulated Uncompressed Explicit VR Little Endian.
DEFLATED_FRAMES, WRAPPED_FRAMES = UID("1.2.840.10008.1.2.8.1"), UID("1.2.840.10008.1.2.1.98")
CANDIDATES: dict[UID, tuple[str, ...]] = {
    RLELossless: ("imagecodecs", "pylibjpeg", "pydicom"),
    JPEGBaseline8Bit: ("pillow", "gdcm", "pylibjpeg"),
    JPEGExtended12Bit: ("pylibjpeg", "gdcm", "pillow"),  # of 8 bits
    JPEGLossless: ("imagecodecs", "gdcm", "pylibjpeg"),
    JPEGLosslessSV1: ("imagecodecs", "gdcm", "pylibjpeg"),
    JPEGLSLossless: ("pyjpegls", "gdcm", "pylibjpeg"),
    JPEGLSNearLossless: ("pyjpegls", "gdcm", "pylibjpeg"),
    JPEG2000Lossless: ("pylibjpeg", "gdcm"),
    JPEG2000: ("pylibjpeg", "gdcm"),
    HTJ2KLossless: ("pylibjpeg",),
    HTJ2KLosslessRPCL: ("pylibjpeg",),
    HTJ2K: ("pylibjpeg",),
}
TWELVE_BITS = ("imagecodecs", "pylibjpeg")  # of JPEG Extended
PACKAGES = {"gdcm": "python-gdcm", "pylibjpeg": "pylibjpeg-libjpeg (GPL)"}  # where their name is another
NO_DECODER = "no decoder for this compression is installed; `synthassay doctor` lists them"
NOT_READ = "no decoder for this compression is known; save the file uncompressed"

for _module in (jpeg_turbo, packbits):
    for _syntax in _module.SYNTAXES:
        get_decoder(_syntax).add_plugin("imagecodecs", (_module.__name__, "decode_frame"))


def decoder_of(syntax: str, bits: int = 8) -> str:
    """The pydicom plugin for a transfer syntax, ``""`` for uncompressed ones. Raises :class:`Unreadable` for none."""
    uid = UID(syntax)
    candidates = _candidates(uid, bits)
    if candidates is not None:
        installed = get_decoder(uid).available_plugins
        chosen = next((plugin for plugin in candidates if plugin in installed), None)
        if chosen is None:
            raise Unreadable("TransferSyntaxUID", uid.name, NO_DECODER)
        return chosen
    if uid.is_transfer_syntax and not uid.is_private and not uid.is_encapsulated:
        return ""
    known = uid.is_transfer_syntax and not uid.is_private
    raise Unreadable("TransferSyntaxUID", uid.name if known else "unknown", NOT_READ)


def _candidates(uid: UID, bits: int) -> tuple[str, ...] | None:
    return TWELVE_BITS if uid == JPEGExtended12Bit and bits > 8 else CANDIDATES.get(uid)


def decoder_table() -> list[tuple[str, str, str]]:
    """(what, the decoder used or ``""``, packages that can be) for every kind of compressed file that can be read."""
    kinds = (
        ("RLE", RLELossless, 16), ("JPEG baseline", JPEGBaseline8Bit, 8),
        ("JPEG extended, 8 bits", JPEGExtended12Bit, 8), ("JPEG extended, 12 bits", JPEGExtended12Bit, 12),
        ("JPEG lossless", JPEGLosslessSV1, 16),
        ("JPEG-LS", JPEGLSLossless, 16), ("JPEG 2000", JPEG2000Lossless, 16), ("high-throughput JPEG 2000", HTJ2K, 16),
        ("deflated", DeflatedExplicitVRLittleEndian, 16),
    )  # fmt: skip
    rows = []
    for name, syntax, bits in kinds:
        try:
            chosen = decoder_of(syntax, bits) or "zlib"
        except Unreadable:
            chosen = ""
        needed = _candidates(syntax, bits) or ()
        rows.append((name, chosen, " or ".join(PACKAGES.get(plugin, plugin) for plugin in needed)))
    return rows


def uncover(dataset: Any, limits: LimitSpec) -> None:
    """Frames that are wrapped, or deflated, one by one become plain pixel data, in place; pydicom cannot read them."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in (DEFLATED_FRAMES, WRAPPED_FRAMES):
        return
    count = int(dataset.get("NumberOfFrames") or 1)
    bits = int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel) * int(dataset.BitsAllocated)
    if bits % 8 and count > 1:
        raise Unreadable("TransferSyntaxUID", "frames of single bits", NOT_READ)
    frames = [(inflate(io.BytesIO(frame), limits) if syntax == DEFLATED_FRAMES else frame)[: -(-bits // 8)]
              for frame in generate_frames(dataset.PixelData, number_of_frames=count)]  # fmt: skip
    content = b"".join(frames)
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset["PixelData"].is_undefined_length = False


def reconcile(dataset: Any) -> None:
    """Put right, in place, or refuse what a header says and the first compressed frame contradicts.

    JPEG that calls itself RGB and has a coarser grid for two of three channels is YBR, and is put right; pydicom does
    it where a JFIF segment says so. Raises :class:`Unreadable` for JPEG 2000 with a sign that the header does not know:
    the values below 0 would be the highest.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == JPEGBaseline8Bit and dataset.PhotometricInterpretation == "RGB":
        picture: Any = Image.open(io.BytesIO(_first_frame(dataset)))
        if len({layer[1:3] for layer in picture.layer}) > 1 and "adobe_transform" not in picture.info:
            dataset.PhotometricInterpretation = "YBR_FULL_422"
    unsigned = syntax in JPEG2000TransferSyntaxes and dataset.PixelRepresentation == 0
    if unsigned and get_j2k_parameters(_first_frame(dataset)).get("is_signed"):
        raise Unreadable("PixelRepresentation", "0", "the header contradicts the compression")


def _first_frame(dataset: Any) -> bytes:
    count = int(dataset.get("NumberOfFrames") or 1)
    return next(generate_frames(dataset.PixelData, number_of_frames=count))
