"""One process of a team: ``team_member.py RANK SIZE MEETING FOLDER KIND [STOP]`` trains a tiny generator.

With STOP, rank 1 gets SIGTERM after so many steps, and all end with exit code 143.
"""

import importlib.util
import os
import signal
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from synthassay.records import SilentProgress
from synthassay.stopping import Stopped
from synthassay.team import Team, current_team

# By its path: an installed package may be called tests too.
found = importlib.util.spec_from_file_location("families", Path(__file__).parents[1] / "test_families.py")
families = importlib.util.module_from_spec(found)
found.loader.exec_module(families)


class SignalAt(SilentProgress):
    """Sends this process SIGTERM after ``step`` steps of this process."""

    def __init__(self, step: int) -> None:
        self.left = step

    def advance(self, n: int = 1) -> None:
        self.left -= n
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


def main(rank: int, size: int, meeting: str, folder: str, kind: str, stop: int = 0) -> int:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)
    assert current_team() == Team(rank, size)
    try:
        families.fit(families.tiny(kind), Path(folder), progress=SignalAt(stop) if rank == 1 else None)
    except Stopped as stopped:
        return stopped.exit_code
    finally:
        dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6], *map(int, sys.argv[6:])))
