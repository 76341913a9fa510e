"""Training state and weights on disk: safetensors only, each file whole or absent."""

import contextlib
import csv
import io
import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from synthassay.errors import UserError
from synthassay.tensorfiles import read_tensors, save_tensors
from synthassay.whole_files import replacing, sync, write_whole

CHECKPOINT = "checkpoint.safetensors"
PREVIOUS = "checkpoint-before.safetensors"  # the one before it, for when it turns out damaged; kept while training
SNAPSHOTS = "snapshots"
MODEL = "model.safetensors"
MODEL_CARD = "model.json"
AUTOENCODER = "autoencoder"  # folder of the first training of a latent family, within that of the second
LOSSES = "losses.csv"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LossTable:
    """Mean losses of each window of steps; one row per window, no step twice."""

    names: tuple[str, ...] = ()
    steps: list[int] = field(default_factory=list)
    rows: list[tuple[float, ...]] = field(default_factory=list)

    def append(self, step: int, values: Mapping[str, float]) -> None:
        """Add the window that ended with optimiser step ``step`` (counted from 1).

        A loss that has no value in a window, as one that joins in later, is NaN there.
        """
        new = tuple(name for name in values if name not in self.names)
        self.names += new
        self.rows = [(*row, *[math.nan] * len(new)) for row in self.rows] if new else self.rows
        self.steps.append(step)
        self.rows.append(tuple(values.get(name, math.nan) for name in self.names))

    def to_csv(self) -> str:
        """``step`` and one column per loss."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["step", *self.names])
        for step, row in zip(self.steps, self.rows, strict=True):
            writer.writerow([step, *(f"{value:.9g}" for value in row)])
        return text.getvalue()


@dataclass(slots=True)
class Checkpoint:
    """Everything that training needs to continue.

    The random state is (seed, step): every draw of a step is derived from the two, so no generator's state is kept;
    the seed is part of ``fingerprint``. The losses travel inside, so that the table and the weights cannot disagree.
    """

    fingerprint: str  # of the settings, the seed and the images; another training's file is refused
    step: int
    losses: LossTable
    window: list[Mapping[str, Tensor]] = field(default_factory=list)  # losses of the steps since the table's last row


def save_checkpoint(
    folder: Path, state: Checkpoint, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer]
) -> None:
    """Write ``losses.csv``, then ``checkpoint.safetensors``, each atomically, and keep the checkpoint before it.

    A kill between the two leaves a table that is ahead of the weights; the next call rewrites it from the checkpoint.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"module/{name}/{key}": value for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        for index, slots in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{name}/{index}/{slot}": value for slot, value in slots.items()}
    tensors["losses"] = torch.tensor(state.losses.rows, dtype=torch.float64)
    tensors |= {f"window/{k}/{name}": value for k, row in enumerate(state.window) for name, value in row.items()}
    header = {
        "fingerprint": state.fingerprint,
        "step": state.step,
        "loss_names": state.losses.names,
        "loss_steps": state.losses.steps,
        "window": [list(row) for row in state.window],
    }
    write_whole(folder / LOSSES, state.losses.to_csv().encode(), durable=True)
    with replacing(folder / CHECKPOINT, durable=True) as temporary:
        save_tensors(temporary, tensors, header)
        sync(temporary)  # before the last one is moved: a full disk may be noticed here only
        with contextlib.suppress(FileNotFoundError):
            os.replace(folder / CHECKPOINT, folder / PREVIOUS)


def load_checkpoint(
    folder: Path, fingerprint: str, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer]
) -> Checkpoint | None:
    """Restore modules and optimisers in place; None when ``folder`` has no checkpoint yet.

    A damaged checkpoint is passed over for the one before it, where that is whole.
    """
    found = _newest(folder)
    if found is None:
        return None
    tensors, header = found
    if header.get("fingerprint") != fingerprint:
        raise UserError(f"{CHECKPOINT} in the work folder belongs to a training with other settings, seed or images."
                        "\nDelete it, or train into another folder.")  # fmt: skip
    for name, module in modules.items():
        module.load_state_dict(_below(tensors, f"module/{name}/"))
    for name, optimiser in optimisers.items():
        optimiser.load_state_dict(
            {"state": _slots(_below(tensors, f"optimiser/{name}/")), "param_groups": _groups(optimiser)}
        )
    rows = [tuple(row) for row in tensors["losses"].tolist()]
    losses = LossTable(tuple(header["loss_names"]), list(header["loss_steps"]), rows)
    window: list[Mapping[str, Tensor]] = [
        {name: tensors[f"window/{k}/{name}"] for name in row} for k, row in enumerate(header.get("window", []))
    ]
    return Checkpoint(fingerprint, int(header["step"]), losses, window)


def _newest(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and header of the last whole checkpoint; raises :class:`UserError` when those there are all damaged."""
    damaged: UserError | None = None
    for name in (CHECKPOINT, PREVIOUS):
        try:
            found = read_tensors(folder / name)
        except FileNotFoundError:
            continue
        except UserError as error:
            damaged = damaged or error
            continue
        if damaged is not None:
            logger.warning("%s is damaged; training continues from the one before it", CHECKPOINT)
        return found
    if damaged is not None:
        raise damaged
    return None


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _slots(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, slot = key.split("/")
        state.setdefault(int(index), {})[slot] = value
    return state


def _groups(optimiser: Optimizer) -> Sequence[Mapping[str, Any]]:
    groups: Sequence[Mapping[str, Any]] = optimiser.state_dict()["param_groups"]
    return groups


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """What is known of a trained model, as readable JSON. It is written last: a folder with a card is complete."""
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    write_whole(folder / MODEL_CARD, text.encode(), durable=True)
