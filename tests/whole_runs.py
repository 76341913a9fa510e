"""Whole runs of the command line on a tiny phantom."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[0] / "configs"
PROGRAM = [sys.executable, "-m", "synthassay.cli.main"]


def command(place: Path, verb: str, *settings: str) -> list[str]:
    """The command line of one run whose store, keys and report lie under ``place``."""
    return [
        *PROGRAM, verb, "--config-dir", str(CONFIGS), "experiment=tiny",
        f"store.root={place / 'store'}", f"store.keyring={place / 'keys'}", f"out={place / 'out'}", *settings,
    ]  # fmt: skip


def synthassay(place: Path, verb: str, *settings: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run to the end; standard output and error as text."""
    place.mkdir(parents=True, exist_ok=True)
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    takes_settings = verb not in ("compare", "doctor")
    arguments = command(place, verb, *settings) if takes_settings else [*PROGRAM, verb, *settings]
    return subprocess.run(arguments, capture_output=True, text=True, cwd=place, env=variables, timeout=600)


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
