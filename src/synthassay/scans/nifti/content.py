"""The bytes of a NIfTI file, compressed or not, as a stream. No more is inflated than what is asked for."""

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from isal import igzip, isal_zlib

from synthassay.scans.unreadable import Unreadable

GZIP = b"\x1f\x8b"
_open: Any = igzip.open  # without types
_IsalError: Any = isal_zlib.error


def stream_of(content: bytes) -> BinaryIO:
    """What ``content`` holds; gzip is inflated by isal, several times faster than by zlib."""
    raw = io.BytesIO(content)
    stream: BinaryIO = _open(raw) if content.startswith(GZIP) else raw
    return stream


@contextmanager
def damage_named(field: str) -> Iterator[None]:
    """Turn what damaged compressed data raise into :class:`Unreadable`."""
    try:
        yield
    except (EOFError, zlib.error, _IsalError, igzip.BadGzipFile) as error:
        raise Unreadable(field, type(error).__name__, "the file is truncated or damaged") from error


def fill(stream: BinaryIO, buffer: memoryview) -> None:
    """Read exactly as many bytes as ``buffer`` has room for. Raises ``EOFError`` where there are fewer."""
    done = 0
    while done < len(buffer):
        count = stream.readinto(buffer[done:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        done += count
