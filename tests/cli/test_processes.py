"""Several processes for one run: where they stand, where they meet, and that they leave what one leaves."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from synthassay.cli.processes import Place, first_host, found_place, meeting_point
from tests.whole_runs import PROGRAM, command

SRUN = {
    "SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1", "SLURM_STEP_NODELIST": "gpu[003-004]",
    "SLURM_JOB_ID": "81234", "SLURM_STEP_ID": "2",
}  # fmt: skip


def test_torchrun_and_srun_say_which_process_this_is() -> None:
    torchrun = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert found_place(torchrun) == Place(3, 4, 1, 2)
    assert found_place(SRUN) == Place(5, 8, 1)
    assert found_place({**SRUN, **torchrun}) == Place(3, 4, 1, 2)  # torchrun under srun
    assert found_place({}) == Place()


def test_a_batch_script_that_runs_the_command_once_is_one_process() -> None:
    assert found_place({"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_JOB_ID": "1"}) == Place()
    assert found_place({"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "1"}) == Place()


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("gpu003", "gpu003"),
        ("gpu[003-007,9],login", "gpu003"),
        ("a1,a2", "a1"),
        ("r[1-2]n[3,5].x,b", "r1n3.x"),
        ("", ""),
    ],
)
def test_the_first_host_of_a_list(nodes: str, host: str) -> None:
    assert first_host(nodes) == host


def test_processes_meet_at_the_first_node_at_a_port_of_their_job() -> None:
    assert meeting_point(SRUN) == ("gpu003", 20_000 + 1_236)
    assert meeting_point({**SRUN, "MASTER_ADDR": "head", "MASTER_PORT": "7"}) == ("head", 7)
    assert meeting_point({**SRUN, "SLURM_JOB_ID": "81235"}) != meeting_point(SRUN)


def together(place: Path, verb: str, *settings: str, size: int = 2) -> list[subprocess.CompletedProcess[str]]:
    """The command in ``size`` processes, as srun starts them."""
    place.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            command(place, verb, *settings), cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**meeting, "SLURM_PROCID": str(rank), "SLURM_STEP_NUM_TASKS": str(size), "SLURM_LOCALID": str(rank)},
        )
        for rank in range(size)
    ]  # fmt: skip
    ended = []
    for process in started:
        out, error = process.communicate(timeout=600)
        ended.append(subprocess.CompletedProcess(process.args, process.returncode, out, error))
    return ended


@pytest.mark.slow
@pytest.mark.xdist_group("whole runs")
def test_two_processes_under_torchrun_leave_what_one_leaves(finished: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    line = [*torchrun, *PROGRAM[1:], *command(tmp_path, "run")[len(PROGRAM) :]]
    done = subprocess.run(line, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True,
                          text=True, timeout=900)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines() == [str(tmp_path / "out" / "report.html")]  # one of them speaks
    stages = [json.loads((place / "out" / "run.json").read_text())["stages"] for place in (finished, tmp_path)]
    assert [stage["stage"] for stage in stages[0]] == [stage["stage"] for stage in stages[1]]
    ours, theirs = ([s for s in held if s["stage"] in ("train", "sample")] for held in stages)
    assert ours == theirs  # what follows hangs on the bits of the images, which are those of one process to rounding
    tables = [pd.read_parquet(place / "out" / "results.parquet") for place in (finished, tmp_path)]
    columns = ["family", "metric", "generator", "encoder", "variant", "reference", "group", "status", "n_synthetic"]
    pd.testing.assert_frame_equal(tables[0][columns], tables[1][columns])
    values = [table[table.metric == "frechet_distance"].value.astype(float) for table in tables]
    pd.testing.assert_series_equal(*values, rtol=0.02)


@pytest.mark.slow
@pytest.mark.xdist_group("whole runs")
def test_an_error_of_one_process_ends_all_with_one_message(finished: Path, tmp_path: Path) -> None:
    ended = together(tmp_path, "prepare", "cohort.split.test=0")
    assert [process.returncode for process in ended] == [2, 2]
    messages = "".join(process.stderr for process in ended)
    assert messages.count("synthassay: ") == 1
    assert "Traceback" not in messages
