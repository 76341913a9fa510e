"""Training state and weights on disk: safetensors only, each file whole or absent."""

import contextlib
import csv
import io
import json
import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from synthassay.errors import UserError
from synthassay.specs import canonical_json

CHECKPOINT = "checkpoint.safetensors"
PREVIOUS = "checkpoint-before.safetensors"  # the one before it, for when it turns out damaged; kept while training
SNAPSHOTS = "snapshots"
MODEL = "model.safetensors"
MODEL_CARD = "model.json"
LOSSES = "losses.csv"
_HEADER = "synthassay"

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
    write_text(folder / LOSSES, state.losses.to_csv())
    write_tensors(folder / CHECKPOINT, tensors, header, before=folder / PREVIOUS)


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


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any] | None = None, before: Path | None = None
) -> None:
    """Write a safetensors file atomically; ``header`` is kept as JSON in its metadata.

    ``before`` receives the file that was at ``path``.
    The metadata has one entry: safetensors writes several in no fixed order, and equal files should be equal bytes.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {_HEADER: canonical_json(header)} if header is not None else None
    _atomically(path, lambda temporary: save_file(plain, temporary, metadata), before)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and header of a safetensors file; nothing in it is executed."""
    try:
        with safe_open(path, framework="pt") as stream:
            header = json.loads((stream.metadata() or {}).get(_HEADER, "{}"))
            return {name: stream.get_tensor(name) for name in stream.keys()}, header  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as error:
        raise UserError(f"{path.name} is damaged ({error}).\nDelete it and train again.") from error


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically."""
    _atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _atomically(path: Path, write: Callable[[Path], object], before: Path | None = None) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        _sync(temporary)
        if before is not None:
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, before)
        os.replace(temporary, path)
        _sync(path.parent)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
