import os
from pathlib import Path

import pytest

from synthassay.cohorts.discovery import discover, selected, source_fingerprint
from synthassay.errors import UserError


def reasons(root: Path) -> dict[str, str]:
    return {row.path: row.reason for row in discover(root)[1]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "1.png").write_bytes(b"1")
    (folder / "a.png").write_bytes(b"22")
    return folder


def test_paths_are_relative_and_sorted(root):
    assert discover(root)[0] == ["a.png", "b/1.png"]


def test_a_link_out_of_the_root_is_refused(root, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "folder").symlink_to(tmp_path)
    assert discover(root)[0] == ["a.png", "b/1.png"]
    assert reasons(root) == dict.fromkeys(["folder", "link.png"], "the link leads out of the cohort's folder")


def test_links_inside_the_root_are_read_once_and_broken_ones_never(root):
    (root / ".store").mkdir()
    (root / ".store" / "x").write_bytes(b"annexed")
    (root / "c.png").symlink_to(root / ".store" / "x")
    (root / "d.png").symlink_to(root / "a.png")
    (root / "e.png").symlink_to(root / "nowhere")
    (root / "loop.png").symlink_to(root / "loop.png")
    assert discover(root)[0] == ["a.png", "b/1.png", "c.png"]
    assert set(reasons(root)) == {".store", "d.png", "e.png", "loop.png"}


def test_special_files_and_undecodable_names_are_refused(root):
    os.mkfifo(root / "pipe.png")
    (Path(os.fsdecode(os.fsencode(root) + b"/\xff.png"))).write_bytes(b"x")
    assert discover(root)[0] == ["a.png", "b/1.png"]
    assert reasons(root) == {"pipe.png": "not a regular file", "?.png": "the name is not valid UTF-8"}


def test_patterns_select_paths(scans):
    spec = scans.images_spec(include=("*.png", "*.jpg"), exclude=("derived/*",))
    assert [selected(path, spec) for path in ("a/b.png", "derived/a/b.png", "a.txt")] == [True, False, False]


def test_fingerprint_changes_with_size_time_and_table_only(root, scans):
    spec = scans.images_spec()
    (root / "table.csv").write_text("path\n")
    before = source_fingerprint(spec, root)
    assert source_fingerprint(spec, root) == before
    os.utime(root / "a.png", ns=(1, 1))
    touched = source_fingerprint(spec, root)
    (root / "table.csv").write_text("path,label\n")
    assert len({before, touched, source_fingerprint(spec, root)}) == 3


def test_a_missing_root_or_table_is_a_users_mistake(root, scans):
    with pytest.raises(UserError, match="not a folder"):
        source_fingerprint(scans.images_spec(), root / "nowhere")
    with pytest.raises(UserError, match=r"table\.csv does not exist"):
        source_fingerprint(scans.images_spec(), root)
