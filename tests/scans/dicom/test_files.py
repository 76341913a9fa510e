import io
import zlib

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from synthassay.scans.dicom import files
from synthassay.scans.dicom.files import inflate, open_header
from synthassay.scans.dicom.header import read_header
from synthassay.scans.dicom.pixels import read_planes
from synthassay.scans.limits import LimitSpec
from synthassay.scans.unreadable import Unreadable
from tests.scans.dicom_files import save_dicom, texture

LIMITS = LimitSpec()
JPIP = ("1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.204", "1.2.840.10008.1.2.4.205")


def resave(path, syntax, **changes):
    data = dcmread(path)
    data.file_meta.TransferSyntaxUID = syntax
    for name, value in changes.items():
        setattr(data, name, value)
    data.save_as(path)


def rename_syntax(path, plain, syntax):
    """Put another transfer syntax into a file's meta header; pydicom writes only those that it knows."""
    content = path.read_bytes()
    old, new = (text.encode() + b"\0" * (len(text) % 2) for text in (plain, syntax))
    assert content.count(old) == 1
    start = content.index(old)
    group = int.from_bytes(content[140:144], "little") + len(new) - len(old)
    length = len(new).to_bytes(2, "little")
    path.write_bytes(content[:140] + group.to_bytes(4, "little") + content[144 : start - 2] + length + new
                     + content[start + len(old) :])  # fmt: skip


def test_a_deflated_file_gives_the_same_pixels_and_facts(tmp_path):
    path, stored = tmp_path / "a.dcm", texture(1)
    save_dicom(path, stored)
    plain = read_header(path, LIMITS)
    resave(path, DeflatedExplicitVRLittleEndian)
    header = read_header(path, LIMITS)
    assert header.transfer_syntax == DeflatedExplicitVRLittleEndian
    assert (header.patient_id, header.sop_uid, header.rows) == (plain.patient_id, plain.sop_uid, 20)
    assert np.array_equal(read_planes(path.read_bytes(), LIMITS)[0].values, stored)


def test_content_that_inflates_without_end_is_refused_at_the_limit(tmp_path):
    path = tmp_path / "a.dcm"
    save_dicom(path, np.zeros((1500, 1500), np.uint16))
    resave(path, DeflatedExplicitVRLittleEndian)
    assert path.stat().st_size < 10_000
    small = LimitSpec(inflated_mib=1)
    for read in (lambda: read_header(path, small), lambda: read_planes(path.read_bytes(), small)):
        with pytest.raises(Unreadable, match=r"limits\.inflated_mib"):
            read()
    assert read_header(path, LimitSpec(inflated_mib=5)).rows == 1500


def test_inflating_stops_at_the_limit_and_not_after_it(monkeypatch):
    squeezer = zlib.compressobj(wbits=-15)
    bomb = squeezer.compress(bytes(64 << 20)) + squeezer.flush()
    asked = []

    class Spy:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def decompress(self, data, most):
            asked.append(most)
            return self.inner.decompress(data, most)

    make = zlib.decompressobj
    monkeypatch.setattr("zlib.decompressobj", lambda bits: Spy(make(bits)))
    with pytest.raises(Unreadable, match="inflated_mib"):
        inflate(io.BytesIO(bomb), LimitSpec(inflated_mib=2))
    assert max(asked) == (2 << 20) + 1


def test_a_deflated_file_that_ends_early_is_refused(tmp_path):
    path = tmp_path / "a.dcm"
    save_dicom(path, texture(1))
    resave(path, DeflatedExplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(Unreadable, match="truncated"):
        read_header(path, LIMITS)


@pytest.mark.parametrize("deflated", [True, False])
@pytest.mark.parametrize("frames", [1, 3])
def test_frames_that_are_deflated_or_wrapped_one_by_one_are_read(tmp_path, frames, deflated):
    path, stored = tmp_path / "a.dcm", texture(2, shape=(frames, 15, 20))
    save_dicom(path, stored[0])
    squeezed = []
    for frame in stored:
        squeezer = zlib.compressobj(wbits=-15)
        squeezed.append(squeezer.compress(frame.tobytes()) + squeezer.flush() if deflated else frame.tobytes())
    data = dcmread(path)
    data.file_meta.TransferSyntaxUID = RLELossless
    data.PixelData, data.NumberOfFrames = encapsulate(squeezed), frames
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.save_as(path)
    rename_syntax(path, RLELossless, "1.2.840.10008.1.2.8.1" if deflated else "1.2.840.10008.1.2.1.98")
    planes = read_planes(path.read_bytes(), LIMITS)
    assert np.array_equal([plane.values for plane in planes], stored)


@pytest.mark.parametrize("syntax", JPIP)
def test_a_file_whose_pixels_lie_on_a_server_is_refused(tmp_path, syntax):
    path = tmp_path / "a.dcm"
    save_dicom(path, texture(1))
    rename_syntax(path, ExplicitVRLittleEndian, syntax)
    with pytest.raises(Unreadable, match="on a server") as caught:
        read_header(path, LIMITS)
    assert (caught.value.field, caught.value.found) == ("TransferSyntaxUID", "JPIP")


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("meta", [True, False])
def test_old_files_without_the_prefix_are_read(tmp_path, implicit, meta):
    path, stored = tmp_path / "a.dcm", texture(1)
    save_dicom(path, stored)
    resave(path, ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
    content = path.read_bytes()
    path.write_bytes(content[132 if meta else 144 + int.from_bytes(content[140:144], "little") :])
    assert (path.read_bytes()[:2] == b"\x02\0") == meta
    assert read_header(path, LIMITS).patient_id == "PID-0001"
    assert np.array_equal(read_planes(path.read_bytes(), LIMITS)[0].values, stored)


@pytest.mark.parametrize("content", [b"", b"\x08\0", b"\x08\0" * 100, b"x" * 500, b"\x02\0\0\0OB" + b"\0" * 200])
def test_a_file_that_begins_with_no_header_is_none(tmp_path, content):
    (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(Unreadable, match="not a DICOM file"):
        read_header(tmp_path / "a.dcm", LIMITS)


def test_a_file_that_does_not_name_its_transfer_syntax_is_read_where_it_is_plain(tmp_path):
    path, stored = tmp_path / "a.dcm", texture(1)
    data = save_dicom(path, stored)
    rename_syntax(path, ExplicitVRLittleEndian, "")
    assert read_header(path, LIMITS).transfer_syntax == ExplicitVRLittleEndian
    assert np.array_equal(read_planes(path.read_bytes(), LIMITS)[0].values, stored)
    data.compress(RLELossless)
    data.save_as(path)
    rename_syntax(path, RLELossless, "")
    with pytest.raises(Unreadable, match="how its pixels are compressed is not written"):
        read_planes(path.read_bytes(), LIMITS)


def test_what_lies_behind_the_pixels_refuses_no_header_that_is_within_the_limit(tmp_path, monkeypatch):
    data = save_dicom(tmp_path / "a.dcm", texture(1))
    data.add_new(0x00090010, "LO", "MAKER")

    def opened():
        found = []
        for size in range((1 << 20) - 1500, (1 << 20) - 1000, 4):
            data.add_new(0x00091001, "OB", bytes(size))
            data.save_as(tmp_path / "a.dcm")
            try:
                found.append(bool(open_header(tmp_path / "a.dcm", LimitSpec(header_mib=1))))
            except Unreadable:
                found.append(False)
        return found

    with_all = opened()
    monkeypatch.setattr(files, "_add_what_follows", lambda *_: None)
    assert set(with_all) == {True, False}
    assert with_all == opened()
