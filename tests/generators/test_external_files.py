"""Files of an external set: what may be opened, and the list of patients that a generator was trained on."""

import os

import pytest

from synthassay.errors import UserError
from synthassay.generators.external import read_trained_on
from synthassay.generators.external_files import discover


def test_links_out_of_the_root_and_pipes_are_never_opened(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "im0.png").touch()
    (outside / "im0.png").touch()
    (root / "link.png").symlink_to(outside / "im0.png")
    (root / "folder").symlink_to(outside)
    (root / "nowhere.png").symlink_to(root / "absent.png")
    os.mkfifo(root / "pipe.png")  # opening it would wait for ever
    found, quarantined = discover(root)
    assert found == ["im0.png"]
    assert {row.path: row.found for row in quarantined} == {
        "link.png": "link", "folder": "link", "nowhere.png": "broken link", "pipe.png": "special file",
    }  # fmt: skip


def test_a_link_within_the_root_is_followed(tmp_path):
    (tmp_path / "im0.png").touch()
    (tmp_path / "again.png").symlink_to(tmp_path / "im0.png")
    assert discover(tmp_path) == (["again.png", "im0.png"], [])


def test_hidden_files_and_folders_are_left_alone(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.png").touch()
    (tmp_path / ".DS_Store").touch()
    assert discover(tmp_path) == ([], [])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.txt", "P1\n\n P2 \nP1\nP3"), ("ids.csv", "\ufeffpatient_id\nP1\nP2\nP3\n"),
        ("ids.csv", "age,Patient\n3,P1\n4,P2\n5,P3\n"), ("ids.tsv", "participant_id\tsite\nP1\tA\nP2\tA\nP3\tB\n"),
    ],
)  # fmt: skip
def test_patients_trained_on_are_read(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_trained_on(tmp_path / name) == ("P1", "P2", "P3")


@pytest.mark.parametrize("content", ["", "\n\n", "patient\n", "P1,P2\nP3,P4\n"])
def test_a_useless_list_of_patients_ends_in_words_without_ids(tmp_path, content):
    (tmp_path / "ids.csv").write_text(content)
    with pytest.raises(UserError) as error:
        read_trained_on(tmp_path / "ids.csv")
    assert "P1" not in str(error.value)
    with pytest.raises(UserError, match="is not a file"):
        read_trained_on(tmp_path / "absent.txt")
