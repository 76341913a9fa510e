from pathlib import Path

import pytest
import torch

from synthassay.errors import UserError
from synthassay.tensorfiles import read_tensors, write_tensors

TENSORS = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor([1, 2])}


def test_tensors_and_facts_come_back_and_equal_files_have_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_tensors(tmp_path / name, TENSORS, {"step": 3, "names": ["x", "ü"]})
    tensors, facts = read_tensors(tmp_path / "one")
    assert facts == {"step": 3, "names": ["x", "ü"]}
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_header_can_be_left_out(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", TENSORS)
    assert read_tensors(tmp_path / "a")[1] == {}


@pytest.mark.parametrize("kept", [0, 4, 60, -1])
def test_a_damaged_file_is_a_message_and_an_absent_one_is_not(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, TENSORS, {"step": 3})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"a\.safetensors is damaged .*\nDelete it"):
        read_tensors(path)
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / "absent")
