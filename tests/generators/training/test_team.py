"""Two processes that train one generator: the curve and the weights of one process, and the bits after a stop."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from synthassay.generators.training.checkpoint import read_tensors
from synthassay.team import ALONE, Team, apart, current_team
from tests.generators.families import fit, tiny, tiny_private

MEMBER = Path(__file__).with_name("team_member.py")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left."""
    folder = tmp_path_factory.mktemp("two")
    arguments = [[sys.executable, str(MEMBER), str(rank), "2", str(folder)] for rank in range(2)]
    members = [subprocess.Popen(line, env={**os.environ, "OMP_NUM_THREADS": "1"}) for line in arguments]
    try:
        assert [member.wait(timeout=600) for member in members] == [0, 0]
    finally:
        for member in members:
            member.kill()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["edm", "gan", "vae", "private"])
def test_two_processes_have_the_curve_and_the_weights_of_one(kind: str, two: Path, tmp_path: Path) -> None:
    """Of a private training too: the patients of both processes are those of one, and noise is added once."""
    fit(tiny_private() if kind == "private" else tiny(kind), tmp_path)
    assert (tmp_path / "model.json").read_text() == (two / kind / "model.json").read_text()  # the same ε is promised
    one, other = (np.loadtxt(folder / "losses.csv", delimiter=",", skiprows=1) for folder in (tmp_path, two / kind))
    np.testing.assert_allclose(other, one, rtol=2e-4)
    weights = [read_tensors(folder / "model.safetensors")[0] for folder in (tmp_path, two / kind)]
    assert any(not torch.equal(weights[1][name], tensor) for name, tensor in weights[0].items())  # they shared batches
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=0, atol=2e-4, msg=name)


@pytest.mark.slow
def test_two_stopped_processes_go_on_to_the_bits_of_two_that_were_not(two: Path) -> None:
    assert read_tensors(two / "at-the-stop")[1]["step"] == 3  # the signal went to one of them
    for name in ("model.safetensors", "losses.csv", "checkpoint.safetensors"):
        assert (two / "vae" / name).read_bytes() == (two / "stopped" / name).read_bytes(), name


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
