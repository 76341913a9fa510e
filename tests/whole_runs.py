"""Whole runs of the command line on a tiny phantom."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from synthassay.cli.main import main

CONFIGS = Path(__file__).resolve().parents[0] / "configs"
PROGRAM = [sys.executable, "-m", "synthassay.cli.main"]


def command(place: Path, verb: str, *settings: str) -> list[str]:
    """The command line of one run whose store, keys and report lie under ``place``."""
    return [
        *PROGRAM, verb, "--config-dir", str(CONFIGS), "experiment=tiny",
        f"store.root={place / 'store'}", f"store.keyring={place / 'keys'}", f"out={place / 'out'}", *settings,
    ]  # fmt: skip


@dataclass
class Ended:
    """What a command left: exit code, standard output and standard error."""

    returncode: int
    stdout: str
    stderr: str


def synthassay(place: Path, verb: str, *settings: str) -> Ended:
    """Run to the end in this process, which has imported torch already."""
    place.mkdir(parents=True, exist_ok=True)
    arguments = command(place, verb, *settings)[len(PROGRAM) :] if verb != "compare" else [verb, *settings]
    out, error = io.StringIO(), io.StringIO()
    with contextlib.chdir(place), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = main(arguments)
    return Ended(code, out.getvalue(), error.getvalue())


def kill_when(arguments: list[str], place: Path, marker: str) -> None:
    """Start, and kill -9 once the bar of ``marker`` was shown and, when sampling, a first shard was written."""
    log = place / "log"
    stage = marker.split()[0]
    with log.open("w") as stream:
        variables = {**os.environ, "OMP_NUM_THREADS": "1"}
        child = subprocess.Popen(arguments, stdout=stream, stderr=stream, cwd=place, env=variables)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and child.poll() is None:
            shards = list((place / "store" / "partial").glob("sample-*/.shards/*.npy"))
            if marker in log.read_text() and (stage != "sample" or shards):
                break
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL, f"{marker} ended before it could be killed:\n{log.read_text()}"
