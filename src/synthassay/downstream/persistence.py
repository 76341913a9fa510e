"""Small files of one training: written whole or not at all, read without unpickling."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Replace ``path`` by a safetensors file of ``tensors`` and ``facts`` (JSON values), in one atomic step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    temporary = path.with_name(f"tmp-{os.getpid()}-{path.name}")
    try:
        with temporary.open("wb") as file:
            file.write(save(packed, metadata={"facts": json.dumps(dict(facts), sort_keys=True)}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_tensors(path: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The tensors and facts of ``path``; None if it is absent, damaged, or was written under another ``key``."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            if facts.get("key") != key:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118 (not a mapping)
    except (SafetensorError, json.JSONDecodeError):
        return None
