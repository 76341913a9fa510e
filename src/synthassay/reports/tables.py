"""Results as JSON and Parquet: one row per result, in one order, without NaN."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthassay.records import MetricResult
from synthassay.reports.data import ReportData

SCHEMA = "synthassay-results/1"
FAMILIES = ("fidelity", "memorisation", "privacy", "downstream")
INTEGERS = ("n_real", "n_synthetic", "n_patients", "seed")
NUMBERS = ("value", "ci_low", "ci_high", "floor", "floor_ci_low", "floor_ci_high")

Key = tuple[str, ...]


def result_key(row: MetricResult) -> Key:
    """What names a result within a run: two results of one run never share it."""
    seed = "" if row.seed is None else f"{row.seed:020d}"
    return (row.family, row.metric, row.encoder, row.variant, row.reference, row.generator, row.group, seed)


def finite(row: MetricResult) -> MetricResult:
    """``row`` without NaN or infinity: such a value becomes absent, such an interval is dropped; its note says so."""
    bad = [name for name in NUMBERS if (v := getattr(row, name)) is not None and not math.isfinite(v)]
    if not bad:
        return row
    note = "; ".join(filter(None, [row.note, f"not a finite number: {', '.join(bad)}"]))
    changes: dict[str, Any] = dict.fromkeys(bad)
    if "value" in bad:
        changes |= {"ci_low": None, "ci_high": None, "status": "absent"}
    if {"ci_low", "ci_high"} & set(bad):
        changes |= {"ci_low": None, "ci_high": None}
    return replace(row, note=note, **changes)


def ordered(results: Sequence[MetricResult], sets: Sequence[str] = ()) -> list[MetricResult]:
    """``results`` made finite, by family, metric, encoder, variant, reference, set (as in ``sets``) and group.

    Raises ValueError when two results share :func:`result_key`: a table with two answers to one question is none.
    """
    place = {name: i for i, name in enumerate(sets)}
    seen: set[Key] = set()
    for row in results:
        key = result_key(row)
        if key in seen:
            raise ValueError(f"two results for {key}")
        seen.add(key)

    def order(row: MetricResult) -> tuple[Any, ...]:
        family, metric, encoder, variant, reference, generator, group, seed = result_key(row)
        rank = place.get(generator, len(place))
        return (FAMILIES.index(family), metric, encoder, variant, reference, rank, generator, group != "all", group,
                seed)  # fmt: skip

    return sorted((finite(row) for row in results), key=order)


def to_json(data: ReportData, rows: Sequence[MetricResult]) -> bytes:
    """``results.json``: the run, the sets under test and every result; depends on nothing but what was measured."""
    document = {
        "schema": SCHEMA,
        "run": {"id": data.run_id, "title": data.title, "seed": data.seed, "audience": data.audience,
                "cohort": data.cohort.name, "label": data.cohort.label},
        "sets": [asdict(item) for item in data.sets],
        "results": [asdict(row) | {"identity": dict(row.identity)} for row in rows],
    }  # fmt: skip
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def result_from_json(row: Mapping[str, Any]) -> MetricResult:
    """The result that :func:`to_json` wrote as ``row``; unknown fields raise TypeError."""
    pairs = tuple(sorted((str(name), str(value)) for name, value in row["identity"].items()))
    return MetricResult(**{**row, "identity": pairs})


def _column_type(name: str) -> pa.DataType:
    if name in INTEGERS:
        return pa.int64()
    if name in NUMBERS:
        return pa.float64()
    return pa.bool_() if name == "higher_is_better" else pa.string()


def to_parquet(rows: Sequence[MetricResult]) -> bytes:
    """``results.parquet``: the fields of :class:`MetricResult` as columns, identity as ``"name=value; …"``."""
    names = [f.name for f in fields(MetricResult)]
    schema = pa.schema([(name, _column_type(name)) for name in names])
    table = pa.Table.from_pylist([row.to_row() for row in rows], schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
