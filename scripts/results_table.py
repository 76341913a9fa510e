"""Fills the tables of docs/results.md from finished runs: ``python scripts/results_table.py [--runs DIR]``.

Each table stands between ``<!-- table BUDGET -->`` and ``<!-- end -->``; its rows are read from ``DIR/BUDGET/FAMILY``,
the folder that the command above the table names as ``out``. A run that is not there is said so in its row.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

FAMILIES = ("edm", "edm2", "ddpm", "flow", "latent_edm", "latent_flow", "gan", "vae")
PAGE = Path(__file__).parents[1] / "docs" / "results.md"
HEAD = ("Family", "FD", "KID", "precision", "recall", "copies per 1,000", "downstream AUROC", "train, s", "sample, s")
MARKS = {"descriptive": " (d)", "insufficient evidence": " (i)"}
ABSENT = {"standard": "not yet run (needs a GPU)", "quick": "not yet run"}
TABLE = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Row = dict[str, Any]


class Run:
    """A finished run of one generator."""

    def __init__(self, out: Path, store: Path) -> None:
        self.out, self.store = out, store
        self.rows: list[Row] = json.loads((out / "results.json").read_text(encoding="utf-8"))["results"]
        self.made: Row = json.loads((out / "run.json").read_text(encoding="utf-8"))
        names = [generator["name"] for generator in self.made["spec"]["generators"]]
        if len(names) != 1:
            raise SystemExit(f"{out}: a run of {len(names)} generators; a row needs a run of one")
        self.name = names[0]

    def value(self, **wanted: str) -> str:
        """A result with its interval; where there is none, a dash."""
        wanted |= {"group": "all", "generator": self.name}
        found = [row for row in self.rows if all(row[key] == value for key, value in wanted.items())]
        if not found or found[0]["value"] is None:
            return "–"
        value, low, high = (found[0][key] for key in ("value", "ci_low", "ci_high"))
        interval = "" if low is None or high is None else f" [{low:.3g}, {high:.3g}]"
        return f"{value:.4g}{interval}" + MARKS.get(found[0]["status"], "")

    def seconds(self, stage: str) -> str:
        """What all parts of a stage took when they were made."""
        notes = [self.store / each["folder"] / "provenance.json" for each in self.made["stages"]
                 if each["stage"] == stage]  # fmt: skip
        if not notes or not all(note.exists() for note in notes):
            return "–"
        return f"{sum(json.loads(note.read_text(encoding='utf-8'))['seconds'] for note in notes):.0f}"

    def cells(self) -> list[str]:
        """The row after its family: headline fidelity against test patients, the joint copy detector, synthetic arm."""
        encoder = next(row["encoder"] for row in self.rows if row["family"] == "fidelity")
        fidelity = {"family": "fidelity", "reference": "test", "variant": "patient-aware", "encoder": encoder}
        metrics = ("frechet_distance", "kid", "precision", "recall")
        copies = {"metric": "copies_per_1000", "variant": "", "encoder": f"pixel+{encoder}"}
        auroc = {"metric": "auroc", "reference": "test", "variant": "synthetic"}
        return [*(self.value(metric=metric, **fidelity) for metric in metrics), self.value(**copies),
                self.value(**auroc), self.seconds("train"), self.seconds("sample")]  # fmt: skip


def table(budget: str, runs: Path, store: Path) -> str:
    """The Markdown table of one budget."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * (len(HEAD) - 1)]
    for family in FAMILIES:
        out = runs / budget / family
        if (out / "run.json").exists():
            cells = Run(out, store).cells()
        else:
            cells = [ABSENT.get(budget, "not yet run"), *[""] * (len(HEAD) - 2)]
        lines.append(f"| `{family}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Rewrite the page's tables."""
    parser = argparse.ArgumentParser(description="Fill the tables of docs/results.md from finished runs.")
    parser.add_argument("--runs", type=Path, default=Path("runs/results"), help="the folder above the runs' out=")
    parser.add_argument("--store", type=Path, default=Path("runs/store"))
    asked = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    filled = TABLE.sub(lambda found: found[1] + table(found[2], asked.runs, asked.store) + found[3], text)
    PAGE.write_text(filled, encoding="utf-8")
    print(filled)


if __name__ == "__main__":
    main()
