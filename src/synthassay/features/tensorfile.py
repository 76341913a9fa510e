"""Safetensors files with facts beside the tensors, written whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from synthassay.errors import UserError
from synthassay.specs import canonical_json

_HEADER = "synthassay"  # one entry: safetensors writes several in no fixed order, and equal files have equal bytes


def write_file(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Replace ``path`` by ``tensors`` and ``facts`` (JSON values) in one step."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(plain, temporary, {_HEADER: canonical_json(facts)})
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_file(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and facts of ``path``; :class:`~synthassay.errors.UserError` when it is damaged."""
    try:
        with safe_open(path, framework="pt") as stream:
            facts = json.loads((stream.metadata() or {})[_HEADER])
            return {name: stream.get_tensor(name) for name in stream.keys()}, facts  # noqa: SIM118 (not a mapping)
    except (SafetensorError, json.JSONDecodeError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}).\nDelete it and run the same command again.") from error
