"""Safetensors files with facts in their header: whole or absent, and nothing in them is executed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from synthassay.errors import UserError
from synthassay.specs import canonical_json
from synthassay.whole_files import replacing

_HEADER = "synthassay"  # one entry: safetensors writes several in no fixed order, and equal files have equal bytes


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any] | None = None) -> None:
    """Replace ``path`` by ``tensors`` and ``header`` (JSON values) in one step."""
    with replacing(path, durable=True) as temporary:
        save_tensors(temporary, tensors, header)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any] | None = None) -> None:
    """Write ``tensors`` and ``header`` to ``path`` itself, a file that is renamed later."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, path, {_HEADER: canonical_json(header)} if header is not None else None)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and the header of ``path``, empty where it was written without one.

    Raises :class:`~synthassay.errors.UserError` for a damaged file and ``FileNotFoundError`` for none.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            header = json.loads((stream.metadata() or {}).get(_HEADER, "{}"))
            return {name: stream.get_tensor(name) for name in stream.keys()}, header  # noqa: SIM118 (not a mapping)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise UserError(f"{path.name} is damaged ({error}).\nDelete it and train again.") from error
