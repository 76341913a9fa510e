import os
from pathlib import Path

import pytest

from synthassay.errors import UserError
from synthassay.records import Quarantined
from synthassay.scans.discovery import CLOSED, OUTSIDE, discover


def found(root: Path) -> tuple[list[str], list[Quarantined]]:
    return discover(root, "cohort.root")


def reasons(root: Path) -> dict[str, str]:
    return {row.path: row.reason for row in found(root)[1]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "1.png").write_bytes(b"1")
    (folder / "a.png").write_bytes(b"22")
    return folder


def test_paths_are_relative_and_sorted(root):
    assert found(root)[0] == ["a.png", "b/1.png"]


def test_a_link_out_of_the_root_is_refused(root, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "folder").symlink_to(tmp_path)
    assert found(root)[0] == ["a.png", "b/1.png"]
    assert reasons(root) == dict.fromkeys(["folder", "link.png"], OUTSIDE)


def test_links_inside_the_root_are_read_once_and_broken_ones_never(root):
    (root / ".store").mkdir()
    (root / ".store" / "x").write_bytes(b"annexed")
    (root / "c.png").symlink_to(root / ".store" / "x")
    (root / "d.png").symlink_to(root / "a.png")
    (root / "e.png").symlink_to(root / "nowhere")
    (root / "loop.png").symlink_to(root / "loop.png")
    assert found(root)[0] == ["a.png", "b/1.png", "c.png"]
    assert set(reasons(root)) == {".store", "d.png", "e.png", "loop.png"}


def test_special_files_and_undecodable_names_are_refused(root):
    os.mkfifo(root / "pipe.png")
    (Path(os.fsdecode(os.fsencode(root) + b"/\xff.png"))).write_bytes(b"x")
    assert found(root)[0] == ["a.png", "b/1.png"]
    assert reasons(root) == {"pipe.png": "not a regular file", "?.png": "the name is not valid UTF-8"}


def test_a_folder_that_cannot_be_listed_is_counted_and_the_rest_is_found(root, monkeypatch):
    real = os.scandir

    def scandir(path="."):
        if Path(os.fspath(path)).name == "b":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)  # root, as whom tests may run, may list every folder
    assert found(root)[0] == ["a.png"]
    assert [(row.path, row.field, row.found) for row in found(root)[1]] == [("b", "folder", "Permission denied")]
    assert reasons(root) == {"b": CLOSED}


def test_a_root_that_cannot_be_listed_is_a_users_mistake(root, monkeypatch):
    def scandir(path="."):
        raise PermissionError(13, "Permission denied", os.fspath(path))

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        found(root)


def test_links_in_a_circle_end(root):
    (root / "b" / "up").symlink_to(root)
    (root / "there").symlink_to(root / "back")
    (root / "back").symlink_to(root / "there")
    assert found(root)[0] == ["a.png", "b/1.png"]
    assert reasons(root) == {
        "b/up": "a link to a folder is not followed", "there": "the link leads nowhere",
        "back": "the link leads nowhere",
    }  # fmt: skip


def test_a_tree_deeper_than_a_path_may_be_long_ends(root):
    here = os.open(root, os.O_RDONLY)
    for _ in range(20):  # made step by step: as one path it is too long
        os.mkdir("d" * 250, dir_fd=here)
        step = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = step
    os.close(here)
    paths, refused = found(root)
    assert paths == ["a.png", "b/1.png"]
    assert [(row.found, row.reason) for row in refused] == [("File name too long", CLOSED)]


def test_a_root_that_is_no_folder_is_named_with_its_setting(root):
    with pytest.raises(UserError, match=r"generator\.root=.* is not a folder"):
        discover(root / "a.png", "generator.root")
