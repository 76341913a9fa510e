import os
from pathlib import Path

import pytest

from synthassay.cohorts.files import selected, source_fingerprint
from synthassay.errors import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(b"22")
    return tmp_path


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
