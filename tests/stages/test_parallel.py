"""Jobs in processes of their own: the same bits, errors passed on, nothing left behind by a kill."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.whole_runs import command, kill_when, synthassay

pytestmark = pytest.mark.xdist_group("whole runs")

SETTINGS = ("generators=[gan,vae]", "out=null")


def test_two_processes_train_the_same_bits_as_one(finished: Path, tmp_path: Path) -> None:
    for kind in ("phantom", "prepare"):
        shutil.copytree(finished / "store" / kind, tmp_path / "store" / kind)
    done = synthassay(tmp_path, "train", "resources.threads=2", *SETTINGS)
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "store" / "train").glob("*/model.safetensors"):
        twin = finished / "store" / "train" / path.parent.name / path.name
        assert path.read_bytes() == twin.read_bytes()
    assert len(list((tmp_path / "store" / "train").iterdir())) == 2


def test_snapshots_are_chosen_in_processes_of_their_own_and_stand_in_the_results(
    tmp_path: Path, finished: Path
) -> None:
    for kind in ("phantom", "prepare", "card"):
        shutil.copytree(finished / "store" / kind, tmp_path / "store" / kind)
    few = ("select.min_patients=2", "select.min_images=2")
    done = synthassay(tmp_path, "sample", "resources.threads=2", *SETTINGS, *few)
    assert done.returncode == 0, done.stderr
    chosen = {
        path.parent.name: json.loads(path.read_text()) for path in (tmp_path / "store/select").glob("*/selection.json")
    }
    assert len(chosen) == 2
    for selection in chosen.values():
        assert [row["step"] for row in selection["candidates"]] == [3, 6]
        assert selection["patients"] >= 2
    assert "by kid-validation (KID" in done.stderr
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*.json")}
    assert synthassay(tmp_path, "sample", "resources.threads=2", *SETTINGS, *few).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*.json")} == before
    last = synthassay(tmp_path, "sample", "resources.threads=2", *SETTINGS)  # five patients of validation are too few
    assert "and a choice needs 10 with 20" in last.stderr


def test_an_error_in_a_process_is_a_short_message_and_keeps_the_other_training(finished: Path, tmp_path: Path) -> None:
    for kind in ("phantom", "prepare"):
        shutil.copytree(finished / "store" / kind, tmp_path / "store" / kind)
    settings = (
        *SETTINGS,
        "resources.threads=2",
        "budget.generators.vae.learning_rate=1e30",
        "budget.generators.vae.steps=40",
    )
    done = synthassay(tmp_path, "train", *settings)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "learning_rate" in done.stderr


def test_a_killed_run_leaves_no_process_that_holds_its_locks(finished: Path, tmp_path: Path) -> None:
    for kind in ("phantom", "prepare"):
        shutil.copytree(finished / "store" / kind, tmp_path / "store" / kind)
    slow = ("budget.generators.gan.steps=5000", "budget.generators.vae.steps=5000", "resources.threads=2")
    kill_when(command(tmp_path, "train", *SETTINGS, *slow), tmp_path, "train gan")
    deadline = time.monotonic() + 15
    while held_locks(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not held_locks(tmp_path)


@pytest.mark.slow
def test_a_run_that_is_told_to_end_saves_what_its_processes_train(finished: Path, tmp_path: Path) -> None:
    for kind in ("phantom", "prepare"):
        shutil.copytree(finished / "store" / kind, tmp_path / "store" / kind)
    slow = ("budget.generators.gan.steps=5000", "budget.generators.vae.steps=5000", "resources.threads=2")
    with (tmp_path / "log").open("w") as log:
        variables = {**os.environ, "OMP_NUM_THREADS": "1"}
        arguments = command(tmp_path, "train", *SETTINGS, *slow)
        run = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=tmp_path, env=variables)
        try:
            deadline = time.monotonic() + 180
            while not all(f"train {name}" in (tmp_path / "log").read_text() for name in ("gan", "vae")):
                assert time.monotonic() < deadline
                assert run.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.05)
            run.send_signal(signal.SIGTERM)
            assert run.wait(timeout=90) == 128 + signal.SIGTERM
        finally:
            run.kill()
    said = (tmp_path / "log").read_text()
    assert "stopped by SIGTERM; the same command continues from here" in said
    assert "Traceback" not in said
    assert len(list((tmp_path / "store" / "partial").glob("train-*/checkpoint.safetensors"))) == 2
    assert not held_locks(tmp_path)


def held_locks(place: Path) -> list[str]:
    held = []
    for path in (place / "store" / "locks").iterdir():
        with path.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(path.name)
    return held
