import os
import stat
from pathlib import Path

import pytest

from synthassay.whole_files import PRIVATE, put_in_place, replacing, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupted(path: Path) -> None:
    path.write_bytes(b"half")
    raise KeyboardInterrupt


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_as_a_whole(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, b"old", durable=durable)
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(b"new")
        assert (path.read_bytes(), temporary.parent) == (b"old", tmp_path)
        assert temporary.name.startswith(".")  # what the store and a reader of scans pass over
    assert (path.read_bytes(), names(tmp_path)) == (b"new", ["a.txt"])


def test_a_failed_write_keeps_the_old_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        interrupted(temporary)
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["a.txt"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, b"old")
    with pytest.raises(OSError, match="No space"), replacing(path), open("/dev/full", "wb") as stream:
        stream.write(b"x" * 100_000)
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["a.txt"])


def test_what_cannot_be_renamed_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    (path / "b").mkdir(parents=True)  # a folder that is not empty is not replaced by a file
    with pytest.raises(IsADirectoryError):
        write_whole(path, b"new")
    assert names(tmp_path) == ["a"]


def test_modes_are_those_asked_for_under_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "own", b"", PRIVATE)
        write_whole(tmp_path / "shared", b"")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("own", "shared")] == [0o600, 0o644]


def test_nothing_is_written_through_a_link_or_into_an_open_file(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "a", tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    path.symlink_to(elsewhere)
    write_whole(path, b"new", PRIVATE)
    assert (path.is_symlink(), path.read_bytes(), elsewhere.read_text()) == (False, b"new", "kept")
    path.chmod(0o666)
    write_whole(path, b"newer", PRIVATE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with replacing(path) as one, replacing(path) as other:
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert (path.read_bytes(), names(tmp_path)) == (b"one", ["a"])  # the last to end


def test_a_file_that_grew_in_place_is_renamed(tmp_path: Path) -> None:
    (tmp_path / ".map").write_bytes(b"map")
    put_in_place(tmp_path / ".map", tmp_path / "map", durable=True)
    assert names(tmp_path) == ["map"]
