"""Opening a DICOM file that nobody vouches for.

Nothing is guessed from files without the DICOM prefix, and no text of a header enters a message: pydicom's own
warnings and errors quote values, so warnings are silenced and errors are named by their type only.
"""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.filereader import read_dataset, read_preamble

from synthassay.scans.limits import LimitSpec, check_size
from synthassay.scans.unreadable import Unreadable

# A small file can inflate to more than the memory holds, and pydicom inflates files of the first kind for their header.
DEFLATED = frozenset({
    "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205", "1.2.840.10008.1.2.8.1",
})  # fmt: skip


@contextmanager
def guarded(field: str, reason: str) -> Iterator[None]:
    """Silences warnings and turns what pydicom and its decoders raise on damaged data into :class:`Unreadable`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (Unreadable, MemoryError, OSError):
            raise
        except Exception as error:  # a damaged file can fail in any of pydicom's converters
            raise Unreadable(field, type(error).__name__, reason) from error


def open_header(path: Path, limits: LimitSpec, keywords: Sequence[str] | None = None) -> Any:
    """The dataset of a file without its pixels; ``keywords`` limit it to these attributes (None: all of them).

    Raises :class:`Unreadable` for what is no DICOM file, is over the limits, or is damaged.
    """
    check_size(path, limits)
    with path.open("rb") as stream:
        if stream.read(132)[128:] != b"DICM":
            raise Unreadable("file", "no DICM prefix", "not a scan: not a DICOM file")
    with guarded("header", "the DICOM header is damaged"):
        with path.open("rb") as stream:
            _refuse_deflated(stream)
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=None if keywords is None else [*keywords])


def open_content(content: bytes) -> Any:
    """The whole dataset of a file's bytes, whose header :func:`open_header` has let through."""
    with guarded("header", "the DICOM header is damaged"):
        _refuse_deflated(io.BytesIO(content))
        return pydicom.dcmread(io.BytesIO(content))


def _refuse_deflated(stream: BinaryIO) -> None:
    read_preamble(stream, force=False)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2)
    if str(meta.get("TransferSyntaxUID", "")).strip() in DEFLATED:
        raise Unreadable("TransferSyntaxUID", "deflated", "deflated files are not read; save it uncompressed")
