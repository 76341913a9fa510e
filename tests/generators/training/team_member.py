"""One process of a team: ``team_member.py RANK SIZE FOLDER`` trains tiny generators in ``FOLDER``, one after another.

The last is stopped by a signal to rank 1 and then continued. One start serves all tests, since importing takes longest.
"""

import importlib.util
import os
import shutil
import signal
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from synthassay.generators.training.checkpoint import CHECKPOINT
from synthassay.records import SilentProgress
from synthassay.stopping import Stopped
from synthassay.team import Team, current_team

# By its path: an installed package may be called tests too.
found = importlib.util.spec_from_file_location("families", Path(__file__).parents[1] / "families.py")
families = importlib.util.module_from_spec(found)
found.loader.exec_module(families)

KINDS = ("edm", "gan", "vae")
STOP = 3


class SignalAt(SilentProgress):
    """Sends this process SIGTERM after ``step`` steps of this process."""

    def __init__(self, step: int) -> None:
        self.left = step

    def advance(self, n: int = 1) -> None:
        self.left -= n
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


def main(rank: int, size: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=size)
    team = current_team()
    assert team == Team(rank, size)
    for kind in KINDS:
        families.fit(families.tiny(kind), folder / kind)
    families.fit(families.tiny_private(), folder / "private")
    try:
        families.fit(families.tiny("vae"), folder / "stopped", progress=SignalAt(STOP) if rank == 1 else None)
        raise AssertionError("the signal was lost")
    except Stopped:
        if rank == 0:
            shutil.copy(folder / "stopped" / CHECKPOINT, folder / "at-the-stop")
        team.wait()
    families.fit(families.tiny("vae"), folder / "stopped")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
