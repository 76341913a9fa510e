"""What is inflated is the same whichever library does it, and so is what is refused."""

import gzip

import pytest

from synthassay.scans.nifti import content
from synthassay.scans.unreadable import Unreadable

DATA = bytes(range(256)) * 700


@pytest.fixture(params=["libdeflate", "isal"], autouse=True)
def library(request, monkeypatch):
    if request.param == "isal":
        monkeypatch.setattr(content, "libdeflate", None)
    elif content.libdeflate is None:
        pytest.skip("libdeflate (the package deflate) is not installed")


@pytest.mark.parametrize("packed", [
    gzip.compress(DATA), gzip.compress(DATA + b"more"), gzip.compress(DATA[:9]) + gzip.compress(b"") +
    gzip.compress(DATA[9:]), gzip.compress(DATA) + b"\0" * 512, DATA, DATA + b"more",
], ids=["exact", "more", "members", "padding", "plain", "plain and more"])  # fmt: skip
def test_the_bytes_asked_for(packed):
    assert content.inflated(packed, len(DATA))[: len(DATA)] == DATA
    assert content.beginning(packed, 540) == DATA[:540]
    assert content.stream_of(packed).read(1000) == DATA[:1000]


def damaged():
    whole = gzip.compress(DATA)
    broken = bytearray(whole)
    broken[-6] ^= 1  # of the checksum
    return [whole[:-1], whole[: len(whole) // 2], bytes(broken), gzip.compress(DATA[:-1]), whole[:12], b"\x1f\x8b"]


@pytest.mark.parametrize("packed", damaged(), ids=["trailer", "half", "checksum", "short", "start", "magic"])
def test_damage_is_named(packed):
    with pytest.raises(Unreadable, match="truncated or damaged") as caught, content.damage_named("voxels"):
        content.inflated(packed, len(DATA))
    assert caught.value.field == "voxels"


def test_no_more_is_inflated_than_what_is_asked_for():
    assert len(content.inflated(gzip.compress(b"\0" * (1 << 24)), 1000)) == 1000
