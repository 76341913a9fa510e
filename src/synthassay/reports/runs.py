"""Reading back what earlier runs wrote."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from synthassay.errors import UserError
from synthassay.records import MetricResult
from synthassay.reports.tables import SCHEMA, result_from_json
from synthassay.reports.words import short

RESULTS = "results.json"


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
    """The run whose ``results.json`` lies in ``folder`` (or is ``folder``). Raises UserError when there is none."""
    path = folder if folder.is_file() else folder / RESULTS
    name = folder.parent.name if folder.is_file() else folder.name or folder.resolve().name
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no {RESULTS}; give the folder that `synthassay run out=DIR` wrote to"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as results ({short(error, 80)}); run `synthassay report` again"
        ) from None
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMA:
        raise UserError(f"{path} has schema {short(found)!r}, this version reads {SCHEMA!r}; write the report again")
    try:
        return _run(name, document)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} lacks or misnames a field ({short(error, 80)}); write the report again") from None


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"it holds {text}")


def _run(name: str, document: Mapping[str, Any]) -> Run:
    run, sets = document["run"], document["sets"]
    return Run(
        name=name, run_id=str(run["id"]), seed=int(run["seed"]), cohort=str(run["cohort"]),
        origins={str(item["name"]): str(item["origin"]) for item in sets},
        settings={str(item["name"]): str(item["settings_digest"]) for item in sets},
        results=tuple(result_from_json(row) for row in document["results"]),
    )  # fmt: skip
