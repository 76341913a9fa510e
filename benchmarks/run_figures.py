"""The main figures of a finished run as Markdown: ``python benchmarks/run_figures.py OUT [STORE] > FILE.md``.

OUT is a run's folder (``out=DIR``), STORE its store; seconds and memory of each stage are read from there.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]
FIDELITY = ("frechet_distance", "fid", "kid", "precision", "recall", "density", "coverage")


def number(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A value with its interval, four digits and three."""
    if value is None:
        return "–"
    return f"{value:.4g}" + ("" if low is None else f" [{low:.3g}, {high:.3g}]")


def cell(row: Row | None) -> str:
    """The value of a result with its interval."""
    return "–" if row is None else number(row["value"], row["ci_low"], row["ci_high"])


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    rows = [list(head), *map(list, lines)]
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


class Results:
    """The results of one run."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.sets = list(dict.fromkeys(row["generator"] for row in rows if row["family"] == "fidelity"))

    def pick(self, **wanted: object) -> Iterator[Row]:
        """The results whose fields have these values."""
        return (row for row in self.rows if all(row[name] == value for name, value in wanted.items()))

    def first(self, **wanted: object) -> Row | None:
        """The first of them."""
        return next(self.pick(**wanted), None)


def stages(out: Path, store: Path) -> str:
    """Seconds and peak memory by stage, summed over its parts."""
    found: dict[str, tuple[float, float]] = {}
    for stage in json.loads((out / "run.json").read_text())["stages"]:
        note = json.loads((store / stage["folder"] / "provenance.json").read_text())
        seconds, memory = found.get(stage["stage"], (0.0, 0.0))
        found[stage["stage"]] = seconds + note["seconds"], max(memory, note["peak_memory_mb"])
    return table(("Stage", "Seconds", "Peak memory, MiB"),
                 ((name, f"{seconds:.0f}", f"{memory:.0f}") for name, (seconds, memory) in found.items()))  # fmt: skip


def fidelity(results: Results) -> str:
    """Patient-aware fidelity against test patients, all images."""
    where = {"family": "fidelity", "reference": "test", "group": "all", "variant": "patient-aware"}
    metrics = [metric for metric in FIDELITY if results.first(**where, metric=metric)]
    lines = [
        [name, *(cell(results.first(**where, metric=m, generator=name)) for m in metrics)] for name in results.sets
    ]
    floor = [results.first(**where, metric=metric) for metric in metrics]
    return table(("Set", *metrics), [*lines, ["floor", *(number(row["floor"] if row else None) for row in floor)]])


def memorisation(results: Results) -> str:
    """Flagged images, copied share and verdict, with the detector that joins both spaces; then its recall."""
    spaces = {row["encoder"] for row in results.pick(metric="copied_share")}
    joint = max(spaces, key=len)
    where = {"family": "memorisation", "encoder": joint, "group": "all", "variant": ""}
    lines = []
    for name in results.sets:
        flagged = results.first(**where, metric="copies_per_1000", generator=name)
        copied = results.first(**where, metric="copied_share", generator=name)
        lines.append([name, cell(flagged), cell(copied), copied["status"] if copied else "–"])
    recall = [row for row in results.pick(metric="copy_recall", encoder=joint) if row["generator"] == results.sets[0]]
    found = ", ".join(f"{row['group'].removeprefix('kind=')} {cell(row)}" for row in recall)
    head = ("Set", "flagged per 1,000", "copied share", "status")
    return f"{table(head, lines)}\n\nRecall on planted copies: {found}."


def downstream(results: Results) -> str:
    """AUROC of every arm on each held-out split."""
    rows = list(results.pick(metric="auroc", group="all"))
    splits = sorted({(row["reference"], row["n_patients"]) for row in rows}, reverse=True)
    arms = dict.fromkeys((row["variant"], row["generator"]) for row in rows)
    lines = []
    for arm, name in arms:
        where = {"metric": "auroc", "group": "all", "variant": arm, "generator": name}
        found = (results.first(**where, reference=split) for split, _ in splits)
        lines.append([f"{arm} {name}".removesuffix(" real"), *(cell(row) for row in found)])
    return table(("Arm", *(f"{split} ({patients} patients)" for split, patients in splits)), lines)


def main(out: Path, store: Path | None) -> None:
    """Print every table."""
    results = Results(json.loads((out / "results.json").read_text())["results"])
    parts = []
    if store:
        parts.append(("Seconds by stage (summed over processes that ran at the same time)", stages(out, store)))
    parts += [("Fidelity against test patients, patient-aware", fidelity(results)),
              ("Memorisation", memorisation(results)), ("AUROC", downstream(results))]  # fmt: skip
    print("\n\n".join(f"## {title}\n\n{text}" for title, text in parts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
