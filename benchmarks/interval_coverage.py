"""How often the 95% intervals of the fidelity metrics cover, over simulated cohorts of 10, 25, 50 and 200 patients.

    nice python -m benchmarks.interval_coverage --work runs/interval_coverage [--part core] [--jobs 2] [--quick]

An interval is for the value expected at this n with the generator fixed, so it covers when it holds the mean of the
value over all repeats. Both sides are drawn anew in every repeat, as in reality; where the training set is given, the
mean is over the repeats that share one. Intervals are those that results carry. ``coverage_designs.py`` has the cohorts
and the parts: ``core``, the metrics of one visit of the features (about 40 minutes of one core), ``sets``, the metrics
of a whole set and MS-SSIM (about 10 minutes), and ``slow``, those of a whole set that take longer (about 20 minutes).

Finished repeats are kept in ``--work``, in a folder named after the content of the metrics' source, so that a run which
was stopped goes on and changed code starts anew. ``--written`` computes nothing and takes the repeats that are there.
The measurements of the parts that were asked for replace those in ``src/synthassay/metrics/measured_coverage.json``,
from which results take their notes and from which ``interval_coverage.md`` is written; ``--quick`` writes neither.
"""

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy import stats

import synthassay.metrics
from benchmarks.coverage_designs import (
    BETWEEN_KINDS,
    BETWEEN_PATIENTS,
    COHORTS,
    DESIGNS,
    DIMENSION,
    MEAN,
    METHOD,
    REPEATS_OF,
    SETS,
    SIDE,
    SPEC,
    Row,
)
from synthassay.metrics.intervals import CONFIDENCE
from synthassay.metrics.measured_coverage import BAND

PATIENTS = (10, 25, 50, 200)
REPEATS = 2000
QUICK_PATIENTS, QUICK_REPEATS = (10, 25), 100
EXAMPLE_PATIENTS = 25
PAGE = Path(__file__).with_suffix(".md")
DATA = Path(synthassay.metrics.__path__[0]) / "measured_coverage.json"
NO_PART = ("measured_coverage.py",)  # of the metrics' source: it computes no interval


@dataclass(frozen=True)
class Coverage:
    """Of one metric, variant, design and number of patients, over the repeats that have an interval.

    ``below``, ``above``: share of these where the expected value lies below, above the interval; ``missing``: share of
    all ``repeats`` without an interval; ``width``: mean width over that of value ± t(P-1) true standard deviations.
    """

    below: float
    above: float
    missing: float
    width: float | None
    method: str
    repeats: int

    @property
    def share(self) -> float:
        """How many intervals cover."""
        return 1.0 - self.below - self.above


def coverage_of(rows: Sequence[Row], patients: int, repeats: int) -> Coverage:
    """From the rows of all repeats of one metric, variant and design."""
    given, value = np.array([row.given for row in rows]), np.array([row.value for row in rows])
    expected = (np.bincount(given, value) / np.maximum(np.bincount(given), 1))[given]
    low, high = (np.array([getattr(row, end) for row in rows], float) for end in ("low", "high"))  # None becomes NaN
    there = ~np.isnan(low)
    count = max(1, int(there.sum()))
    ideal = 2 * float(stats.t.ppf((1 + CONFIDENCE) / 2, patients - 1)) * float((value - expected).std())
    width = float(np.sum(high[there] - low[there])) / count / ideal if ideal > 0 else None
    methods = [METHOD.match(row.method)["name"] for row in rows if row.method]
    return Coverage(
        float(np.sum(expected[there] < low[there])) / count, float(np.sum(expected[there] > high[there])) / count,
        1 - int(there.sum()) / repeats, width, max(methods, key=methods.count, default=""), repeats,
    )  # fmt: skip


Table = dict[tuple[str, str], dict[tuple[str, int], Coverage]]


def table_of(found: dict[tuple[str, int], list[list[Row]]]) -> Table:
    """Coverage by (metric, variant) and (design, patients); a metric that never has an interval is left out.

    ``found``: by name of the cohort and number of patients, the rows of each repeat.
    """
    grouped: dict[tuple[str, str], dict[tuple[str, int], list[Row]]] = defaultdict(lambda: defaultdict(list))
    counts: dict[tuple[str, int], int] = {}
    for (_, patients), repeats in found.items():
        for row in (row for rows in repeats for row in rows):
            grouped[row.metric, row.variant][row.design, patients].append(row)
            counts[row.design, patients] = len(repeats)
    table = {key: {cell: coverage_of(rows, cell[1], counts[cell]) for cell, rows in cells.items()}
             for key, cells in grouped.items()}  # fmt: skip
    return {key: cells for key, cells in table.items() if any(cell.missing < 1 for cell in cells.values())}


def source_digest() -> str:
    """Of the designs and of the metrics' source, so that repeats of different code are never mixed."""
    digest = hashlib.sha256(Path(__file__).with_name("coverage_designs.py").read_bytes())
    for path in sorted(Path(synthassay.metrics.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes() if path.name not in NO_PART else b"")
    return digest.hexdigest()[:12]


Task = tuple[str, str, int, int]  # part, name of the cohort, patients, repeat


def _work(task: Task) -> tuple[Task, list[Row]]:
    torch.set_num_threads(1)
    part, name, patients, repeat = task
    return task, REPEATS_OF[part](COHORTS[name], patients, repeat)


def _finished(path: Path) -> dict[int, list[Row]]:
    """Repeats that an earlier run left; a last line that was cut off is dropped."""
    if not path.exists():
        return {}
    whole = [line for line in path.read_text().splitlines() if line.endswith("}")]
    return {entry["repeat"]: [Row(*row) for row in entry["rows"]] for entry in map(json.loads, whole)}


def _computed(todo: Sequence[Task], jobs: int) -> Iterator[tuple[Task, list[Row]]]:
    if jobs == 1:
        yield from map(_work, todo)
        return
    with multiprocessing.Pool(jobs) as pool:
        yield from pool.imap_unordered(_work, todo, chunksize=4)


def simulate(
    part: str, work: Path, sizes: Sequence[int], repeats: int, jobs: int, compute: bool = True
) -> dict[tuple[str, int], list[list[Row]]]:
    """Rows of each repeat, by cohort and number of patients; finished repeats are read, the others computed."""
    folder = work / source_digest()
    folder.mkdir(parents=True, exist_ok=True)
    paths = {(name, patients): folder / f"{part}-{name}-{patients}.jsonl" for patients in sizes for name in COHORTS}
    found = {cell: _finished(path) for cell, path in paths.items()}
    todo = [(part, *cell, i) for i in range(repeats) for cell in paths if i not in found[cell]] if compute else []
    for done, ((_, name, patients, repeat), rows) in enumerate(_computed(todo, jobs), 1):
        found[name, patients][repeat] = rows
        with paths[name, patients].open("a") as file:
            file.write("\n" + json.dumps({"repeat": repeat, "rows": [astuple(row) for row in rows]}))
        if done % 500 == 0:
            print(f"{part}: {done} of {len(todo)} repeats", file=sys.stderr, flush=True)
    return {cell: [rows[i] for i in sorted(rows)] for cell, rows in found.items()}


Entry = dict[str, Any]  # of measured_coverage.json: one metric and variant


def entries(part: str, table: Table) -> list[Entry]:
    """What is kept of ``table``: the share that the product reads, and what the page shows beside it."""
    found = []
    for (metric, variant), cells in table.items():
        there = {cell: each for cell, each in cells.items() if each.missing < 1}
        methods = [each.method for each in there.values() if each.method]
        by_size: dict[str, dict[str, Entry]] = {
            str(p): {d: _kept(there[d, p]) for d in DESIGNS if (d, p) in there} for p in PATIENTS
        }
        found.append({
            "metric": metric, "variant": variant, "method": max(methods, key=methods.count), "part": part,
            "share": {p: {d: round(there[d, int(p)].share, 4) for d in cells} for p, cells in by_size.items()},
            "detail": by_size,
        })  # fmt: skip
    return found


def _kept(cell: Coverage) -> Entry:
    kept = {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(cell).items()}
    del kept["method"]
    return kept


def _cell(share: float | None, detail: Entry | None) -> str:
    if share is None or detail is None:
        return "–"
    rounded = round(share, 3)
    text = f"{100 * rounded:.1f}" if BAND[0] <= rounded <= BAND[1] else f"**{100 * rounded:.1f}**"
    parts = [f"{100 * detail['below']:.1f}, {100 * detail['above']:.1f}",
             "–" if detail["width"] is None else f"{detail['width']:.2f}"]  # fmt: skip
    parts += [f"none in {100 * detail['missing']:.1f}%"] if detail["missing"] else []
    parts += [f"{detail['repeats']:,} repeats"] if detail["repeats"] != REPEATS else []
    return f"{text} ({'; '.join(parts)})"


def page(measured: dict[str, Any]) -> str:
    """The Markdown page."""
    error = 100 * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / REPEATS)
    lines = [
        "# Coverage of the 95% intervals", "",
        f"`nice python -m benchmarks.interval_coverage --work DIR`: {REPEATS:,} simulated repeats of each number of "
        f"patients and each design, where a cell names no other number; {DIMENSION} dimensions, intraclass correlation "
        f"{BETWEEN_KINDS + BETWEEN_PATIENTS:.1f}, k = {SPEC.k}, {SPEC.replicates} half-samples ({SETS.replicates} for "
        "the clipped metrics), t with P-1 degrees of freedom. The target is the value expected at this n with the "
        "generator fixed. Given too is the training set of authenticity, C_T and the tail count (and of MiFID where "
        "the generator copies). Authenticity, the tail count, Vendi and MS-SSIM are on as many synthetic units as "
        f"there are patients. MS-SSIM is on images of {SIDE} pixels.",
        "",
        "Each cell: share of the intervals that cover, in % (the expected value lies below, above the interval, in %; "
        "mean width over that of value ± t(P-1) true standard deviations; repeats without an interval). Bold: outside "
        f"{100 * BAND[0]:.0f} to {100 * BAND[1]:.0f}%, and then each result says so. Monte-Carlo standard error of a "
        f"share near 95% of {REPEATS:,} repeats: {error:.1f} points. Under 20 patients an interval is descriptive and "
        "passes nothing.",
    ]  # fmt: skip
    for design, text in DESIGNS.items():
        lines += ["", f"## {design.capitalize()}", "", f"{text[0].upper()}{text[1:]}.", "",
                  "| Metric | Variant | Interval | " + " | ".join(f"{p} patients" for p in PATIENTS) + " |",
                  "|---" * (3 + len(PATIENTS)) + "|"]  # fmt: skip
        for entry in measured["coverage"] + measured["controls"]:
            cells = [(entry["share"][str(p)].get(design), entry["detail"][str(p)].get(design)) for p in PATIENTS]
            if any(share is not None for share, _ in cells):
                row = [entry["metric"], entry["variant"], entry["method"], *(_cell(*cell) for cell in cells)]
                lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def with_part(measured: dict[str, Any], part: str, table: Table, example: Sequence[Row]) -> dict[str, Any]:
    """``measured`` with the entries of ``part`` replaced.

    ``example`` is one repeat, by which a test sees that the intervals have not changed.
    """
    found, changed = entries(part, table), dict(measured)
    for name, control in (("coverage", False), ("controls", True)):
        mine = [entry for entry in found if (entry["metric"] == MEAN) == control]
        others = [entry for entry in measured[name] if entry["part"] != part]
        changed[name] = sorted(others + mine, key=lambda entry: list(REPEATS_OF).index(entry["part"]))
    changed["example"] = measured["example"] | {part: [astuple(row) for row in example if row.metric != MEAN]}
    return changed


def written(measured: dict[str, Any]) -> str:
    """``measured`` as JSON with one element of a list of structures a line."""
    lines = []
    for key, value in measured.items():
        long = isinstance(value, list) and isinstance(value[0], dict)
        text = "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]" if long else json.dumps(value)
        lines.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Simulate what is missing, print the page and write the two files."""
    parser = argparse.ArgumentParser(description="Measure how often the 95%% intervals of the fidelity metrics cover.")
    parser.add_argument("--work", type=Path, required=True, help="folder of finished repeats; give it again to go on")
    parser.add_argument("--part", choices=REPEATS_OF, help="measure only this part anew")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--written", action="store_true", help="compute nothing, take the repeats that are finished")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_REPEATS} repeats at {QUICK_PATIENTS}; no files")
    options = parser.parse_args()
    repeats, sizes = (QUICK_REPEATS, QUICK_PATIENTS) if options.quick else (options.repeats, PATIENTS)
    measured = json.loads(DATA.read_text())
    for part in [options.part] if options.part else REPEATS_OF:
        table = table_of(simulate(part, options.work, sizes, repeats, options.jobs, not options.written))
        example = REPEATS_OF[part](COHORTS["uneven"], EXAMPLE_PATIENTS, 0)
        measured = with_part(measured, part, table, example)
    print(page(measured))
    if not options.quick:
        PAGE.write_text(page(measured))
        DATA.write_text(written(measured))


if __name__ == "__main__":
    main()
