"""Several processes for one run, as torchrun or Slurm's srun start them. What they do together is in ``team.py``.

Light: torch is imported when a team is formed.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from synthassay.errors import UserError

if TYPE_CHECKING:
    from synthassay.team import Team

TO_MEET = timedelta(minutes=10)
TO_WAIT = timedelta(days=30)  # for one process while it prepares, scores or writes the report
_meeting: Any = None  # the key-value store that the processes of a team share


@dataclass(frozen=True, slots=True)
class Place:
    """Which of how many processes this is, and which of its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    sharing: int = 1  # how many have this machine's cores in common


def found_place(variables: Mapping[str, str]) -> Place:
    """The place that torchrun or srun wrote into the environment; alone where neither did.

    Slurm's variables of a *step* are read, which only srun sets: a batch script that asks for several tasks and runs
    the command once is one process.
    """
    if "RANK" in variables and "WORLD_SIZE" in variables:
        local = int(variables.get("LOCAL_RANK", 0)), int(variables.get("LOCAL_WORLD_SIZE", 1))
        return Place(int(variables["RANK"]), int(variables["WORLD_SIZE"]), *local)
    if int(variables.get("SLURM_STEP_NUM_TASKS", 1)) > 1 and "SLURM_PROCID" in variables:
        size = int(variables["SLURM_STEP_NUM_TASKS"])
        return Place(int(variables["SLURM_PROCID"]), size, int(variables.get("SLURM_LOCALID", 0)))
    return Place()


def meeting_point(variables: Mapping[str, str]) -> tuple[str, int]:
    """Host and port where the processes meet: MASTER_ADDR and MASTER_PORT, else the first node of Slurm's step."""
    nodes = variables.get("SLURM_STEP_NODELIST", "")
    job = int(variables.get("SLURM_JOB_ID", 0)) + int(variables.get("SLURM_STEP_ID", 0))
    host = variables.get("MASTER_ADDR") or first_host(nodes) or "127.0.0.1"
    return host, int(variables.get("MASTER_PORT") or 20_000 + job % 20_000)


def first_host(nodes: str) -> str:
    """The first name of Slurm's host list: ``gpu[003-007,9],login`` → ``gpu003``."""
    first = re.match(r"[^\[,]*(?:\[[^\]]*\][^\[,]*)*", nodes)
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", first.group()) if first else ""


@contextlib.contextmanager
def joined_team(device: str) -> Iterator["Team"]:
    """Meet the other processes of this run, on ``device`` (``"cuda"`` or ``"cpu"``); all leave together."""
    from synthassay.team import current_team

    place = found_place(os.environ)
    if place.size > 1:
        _join(place, device)
    team = current_team()
    yield team
    team.wait()


def leave_team() -> None:
    """Part from the other processes, all of which have ended their work."""
    global _meeting
    if _meeting is not None:
        import torch.distributed as dist

        dist.destroy_process_group()
        _meeting = None


def speaks_for_all() -> bool:
    """Whether it is for this process to say why the run ends: the first of a team that asks, or rank 0 before it met.

    Whoever is asked second has most often only lost the first.
    """
    place = found_place(os.environ)
    if _meeting is None:
        return place.rank == 0
    try:
        return bool(_meeting.compare_set("synthassay/ended", "", str(place.rank)).decode() == str(place.rank))
    except RuntimeError:  # rank 0, which kept the store, has ended
        return False


def _join(place: Place, device: str) -> None:
    global _meeting
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    if dist.is_initialized():
        return
    if device == "cuda":
        torch.cuda.set_device(place.local_rank % torch.cuda.device_count())
    host, port = meeting_point(os.environ)
    os.environ.setdefault("MASTER_ADDR", host)
    os.environ.setdefault("MASTER_PORT", str(port))
    try:
        store, _, _ = next(rendezvous("env://", place.rank, place.size, timeout=TO_MEET))
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"  # what is no tensor of a GPU goes by gloo
        dist.init_process_group(backend, store=store, rank=place.rank, world_size=place.size, timeout=TO_WAIT)
    except RuntimeError as error:
        raise UserError(
            f"the {place.size} processes of this run do not meet at {host}:{port} ({str(error).splitlines()[0][:120]})."
            "\nCheck that all have started, and set MASTER_ADDR and MASTER_PORT to a place that all can reach."
        ) from error
    _meeting = store
    if device == "cuda":
        _check_devices()


def _check_devices() -> None:
    """Each process needs a GPU of its own: NCCL's own words about two on one are hard to read."""
    import torch
    import torch.distributed as dist

    mine = str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, mine)
    if len(set(everyone)) < len(everyone):
        raise UserError(
            f"{len(everyone)} processes share {len(set(everyone))} GPUs; each needs one of its own.\n"
            "Start as many as there are: torchrun --nproc-per-node=gpu, or srun --gpus-per-task=1."
        )
