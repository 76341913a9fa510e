"""Reading back what earlier runs wrote. The files may come from anybody, so every field is checked."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn, get_args

from synthassay.errors import UserError
from synthassay.records import MetricResult, Status
from synthassay.reports.tables import FAMILIES, INTEGERS, NUMBERS, SCHEMA, result_from_json
from synthassay.reports.words import short

RESULTS = "results.json"
MAX_BYTES = 1 << 26
MAX_ROWS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run's results. ``origins`` and ``settings`` are by set: its origin and the digest of its settings."""

    name: str
    run_id: str
    seed: int
    cohort: str
    origins: Mapping[str, str]
    settings: Mapping[str, str]
    results: tuple[MetricResult, ...]


def read_run(folder: Path) -> Run:
    """The run whose ``results.json`` lies in ``folder`` (or is ``folder``).

    Raises UserError when there is none, and for a file that is larger than 64 MiB or not as :func:`to_json` writes it.
    """
    path = folder if folder.is_file() else folder / RESULTS
    name = folder.parent.name if folder.is_file() else folder.name or folder.resolve().name
    if not path.is_file():  # a pipe would be waited on for ever
        raise UserError(f"{folder} holds no {RESULTS}; give the folder that `synthassay run out=DIR` wrote to")
    try:
        document = json.loads(_text(path), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read as results ({short(error, 80)}); run `synthassay report` again"
        ) from None
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMA:
        raise UserError(f"{path} has schema {short(found)!r}, this version reads {SCHEMA!r}; write the report again")
    try:
        return _run(name, document)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise UserError(f"{path} lacks or misnames a field ({short(error, 80)}); write the report again") from None


def _text(path: Path) -> str:
    with path.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
    return content.decode("utf-8")


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"it holds {text}")


def _run(name: str, document: Mapping[str, Any]) -> Run:
    run, sets, results = document["run"], document["sets"], document["results"]
    if not isinstance(results, list) or len(results) > MAX_ROWS:
        raise ValueError(f"results must be a list of at most {MAX_ROWS:,} rows")
    if type(run["seed"]) is not int:
        raise ValueError("seed must be a whole number")
    return Run(
        name=name, run_id=str(run["id"]), seed=run["seed"], cohort=str(run["cohort"]),
        origins={str(item["name"]): str(item["origin"]) for item in sets},
        settings={str(item["name"]): str(item["settings_digest"]) for item in sets},
        results=tuple(_checked(result_from_json(row)) for row in results),
    )  # fmt: skip


def _checked(row: MetricResult) -> MetricResult:
    """``row``, whose fields JSON may have filled with anything. Raises ValueError with the field's name."""
    for name in (field.name for field in fields(row)):
        if not _fits(name, getattr(row, name)):
            raise ValueError(f"{name} holds something else than it should")
    return row


def _fits(name: str, value: object) -> bool:
    if name == "identity":
        return True  # texts, by result_from_json
    if name in INTEGERS:
        return type(value) is int or (value is None and name == "seed")
    if name in NUMBERS:
        return value is None or (type(value) in (int, float) and math.isfinite(value))  # type: ignore[arg-type]
    if name == "higher_is_better":
        return value is None or isinstance(value, bool)
    allowed = {"family": FAMILIES, "status": get_args(Status)}.get(name)
    return isinstance(value, str) and (allowed is None or value in allowed)
