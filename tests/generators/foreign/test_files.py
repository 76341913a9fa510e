"""Folders and zips of others: nothing outside them is read, nothing is extracted."""

import os
import stat
import zipfile

import pytest

from synthassay.errors import UserError
from synthassay.generators.foreign.files import open_files
from tests.generators.foreign.made_up import write_zip


@pytest.mark.parametrize("name", ["../out.pt", "a/../../out.pt", "/etc/out.pt", "..\\out.pt", "C:/out.pt"])
def test_names_that_lead_out_of_a_zip(name, tmp_path):
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("w.pt", b"x")
        archive.writestr(name, b"x")
    with pytest.raises(UserError, match="leads out"):
        open_files(str(tmp_path / "model.zip"))
    assert [path.name for path in tmp_path.parent.rglob("out.pt")] == []


def test_a_link_in_a_zip(tmp_path):
    info = zipfile.ZipInfo("w.pt")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="link"):
        open_files(str(tmp_path / "model.zip"))


def test_a_bomb(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.pt", bytes(1 << 24))
    with pytest.raises(UserError, match="unfolds to 16,777,216 bytes"):
        open_files(str(tmp_path / "model.zip"))


def test_a_header_that_understates_the_size(tmp_path):
    path = write_zip(tmp_path / "model.zip", w__pt=b"x" * 5000)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02")
    data[place + 24 : place + 28] = (10).to_bytes(4, "little")  # the uncompressed size in the directory
    path.write_bytes(data)
    files = open_files(str(path))
    with pytest.raises(UserError, match="damaged"):
        files.read("w.pt", 1 << 20)


def test_a_truncated_zip(tmp_path):
    path = write_zip(tmp_path / "model.zip", w__pt=b"x" * 5000)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UserError, match="nor a whole zip"):
        open_files(str(path))


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_out_of_a_folder(what, tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "w.pt").write_bytes(b"x")
    (root / "link").symlink_to(outside / "w.pt" if what == "file" else outside)
    with pytest.raises(UserError, match="leads out of the folder"):
        open_files(str(root))


def test_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "w.pt")
    (tmp_path / "v.pt").write_bytes(b"x")
    assert open_files(str(tmp_path)).names == ("v.pt",)


def test_the_digest_is_of_what_decides_the_images(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"x")
    before = open_files(str(tmp_path)).digest()
    (tmp_path / "README.md").write_text("new")
    assert open_files(str(tmp_path)).digest() == before
    (tmp_path / "w.pt").write_bytes(b"y")
    assert open_files(str(tmp_path)).digest() != before


@pytest.mark.parametrize(("path", "message"), [(None, "not set"), ("/nowhere", "no such")])
def test_no_path(path, message):
    with pytest.raises(UserError, match=message):
        open_files(path)
