"""Two processes that train one generator: the curve, the weights and the resumption of one process."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch

from synthassay.generators.training.checkpoint import CHECKPOINT, read_tensors
from synthassay.team import ALONE, Team, apart, current_team
from tests.generators.test_families import fit, tiny

MEMBER = Path(__file__).with_name("team_member.py")


def two_processes(folder: Path, kind: str, stop: int = 0) -> list[int]:
    """Train ``kind`` in ``folder`` in two processes; their exit codes."""
    meeting = folder.with_name(f"meeting-{uuid.uuid4().hex}")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    members = [
        subprocess.Popen(
            [sys.executable, str(MEMBER), str(rank), "2", str(meeting), str(folder), kind, str(stop)], env=environment
        )
        for rank in range(2)
    ]
    try:
        return [member.wait(timeout=300) for member in members]
    finally:
        for member in members:
            member.kill()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["edm", "gan", "vae"])
def test_two_processes_have_the_curve_and_the_weights_of_one(kind: str, tmp_path: Path) -> None:
    fit(tiny(kind), tmp_path / "one")
    assert two_processes(tmp_path / "two", kind) == [0, 0]
    one, two = (np.loadtxt(tmp_path / name / "losses.csv", delimiter=",", skiprows=1) for name in ("one", "two"))
    np.testing.assert_allclose(two, one, rtol=2e-4)
    assert not np.array_equal(two, one)  # they did share the batch
    weights = [read_tensors(tmp_path / name / "model.safetensors")[0] for name in ("one", "two")]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=0, atol=2e-4, msg=name)


@pytest.mark.slow
def test_two_stopped_processes_go_on_to_the_bits_of_two_that_were_not(tmp_path: Path) -> None:
    assert two_processes(tmp_path / "whole", "vae") == [0, 0]
    assert two_processes(tmp_path / "stopped", "vae", stop=3) == [143, 143]  # the signal went to one of them
    assert read_tensors(tmp_path / "stopped" / CHECKPOINT)[1]["step"] == 3
    assert two_processes(tmp_path / "stopped", "vae") == [0, 0]
    for name in ("model.safetensors", "losses.csv", "checkpoint.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes(), name


def test_parts_of_a_batch_cover_it_once() -> None:
    for n, size in ((7, 3), (2, 2), (1, 4), (8, 2)):
        parts = [Team(rank, size).part(n) for rank in range(size)]
        assert [row for part in parts for row in range(n)[part]] == list(range(n))


def test_a_process_without_others_is_a_team_of_one() -> None:
    assert current_team() == ALONE
    with apart():
        assert current_team() == ALONE
    given = [torch.ones(2), torch.zeros(1)]
    assert all(a is b for a, b in zip(ALONE.add_each(given), given, strict=True))
    assert (ALONE.share("x"), ALONE.most(3), ALONE.least(3)) == ("x", 3, 3)
    ALONE.wait()
