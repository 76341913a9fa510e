"""Specs: what changes a result, frozen and hashable. Resources: what does not."""

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Spec(BaseModel):
    """Base of every setting that changes a result. Each concrete spec has ``kind: Literal[...]``.

    Without ``kind`` two families with equal fields would share a key; without ``serialize_as_any`` the fields of a
    subclass would be missing from it. A number where a text is asked for is that text: a label's value 1 is ``"1"``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True)

    def to_key(self) -> dict[str, Any]:
        """The spec as plain JSON values, complete with the fields of subclasses."""
        return self.model_dump(mode="json", serialize_as_any=True)


class Resources(BaseModel):
    """Where the work runs; never part of a key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(0, ge=0)  # 0: as many as this process may use
    workers: int = Field(0, ge=0)  # processes that read scans; 0: as many as threads
    sampling_rows: int = Field(1024, ge=1)  # images that a GPU draws at once where its memory holds them

    def torch_device(self) -> str:
        """``"cuda"`` or ``"cpu"``; asking for an absent GPU is an error."""
        import torch

        from synthassay.errors import UserError

        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError("resources.device=cuda, but torch finds no CUDA GPU here; use resources.device=auto or cpu")
        return "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """sha256 (hex) of :func:`canonical_json`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
