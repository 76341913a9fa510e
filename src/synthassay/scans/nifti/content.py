"""The bytes of a NIfTI file, compressed or not. No more is inflated than what is asked for."""

import importlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from isal import igzip, isal_zlib

from synthassay.scans.unreadable import Unreadable

libdeflate: Any = None
with suppress(ImportError):  # on a platform for which it has no wheel, isal does all the work
    libdeflate = importlib.import_module("deflate")

GZIP = b"\x1f\x8b"
_GZIP_WRAPPER = 31  # zlib's number for a gzip member with its checksum
_FIRST = 1 << 14  # bytes that nearly always hold the header
_open: Any = igzip.open  # without types
_IsalError: Any = isal_zlib.error


def stream_of(content: bytes) -> BinaryIO:
    """What ``content`` holds; gzip is inflated by isal, faster than by zlib."""
    raw = io.BytesIO(content)
    stream: BinaryIO = _open(raw) if content.startswith(GZIP) else raw
    return stream


def inflated(content: bytes, length: int) -> bytes | bytearray:
    """At least ``length`` bytes of what ``content`` holds; of gzip no more, inflated at once, which is fastest.

    Where compressed data end after them, their checksum is verified. Raises ``EOFError`` where they end before it.
    """
    if not content.startswith(GZIP):
        return content
    data = _inflated_by_libdeflate(content, length)
    if len(data) == length:
        return data
    member = isal_zlib.decompressobj(_GZIP_WRAPPER)
    data = member.decompress(content, length)
    if member.eof and len(data) < length:  # a file of several members, or too short
        data = stream_of(content).read(length)
    elif not member.eof and not member.decompress(member.unconsumed_tail, 1) and not member.eof:
        raise EOFError
    if len(data) < length:
        raise EOFError
    return data


def _inflated_by_libdeflate(content: bytes, length: int) -> bytes | bytearray:
    """The first member of ``content`` if it holds ``length`` bytes and no more; else less, and isal says why."""
    if libdeflate is None:
        return b""
    try:
        data: bytes | bytearray = libdeflate.gzip_decompress(content, length)
        return data
    except libdeflate.DeflateError:
        return b""


def beginning(content: bytes, length: int) -> bytes:
    """The first ``length`` bytes of what ``content`` holds, or fewer where it is shorter."""
    if not content.startswith(GZIP):
        return content[:length]
    first: bytes = isal_zlib.decompressobj(_GZIP_WRAPPER).decompress(content[:_FIRST], length)
    return first if len(first) == length else stream_of(content).read(length)


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
