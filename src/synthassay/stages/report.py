"""report: everything the line left → report.html, results.json and results.parquet in the run's folder.

A run that ends with the stage prepare leaves ``cohort.html`` there.
"""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthassay.errors import UserError
from synthassay.records import MISSING
from synthassay.reports.cohort import AUDIENCES
from synthassay.reports.data import Audience, GridCell, ReportData
from synthassay.reports.html import write_cohort_page, write_report
from synthassay.specs import digest_of
from synthassay.stages.context import stage_timings
from synthassay.stages.exhibits import (
    cohort_summary,
    copied_pairs,
    loss_curves,
    set_summaries,
    strips,
)
from synthassay.stages.line import Line
from synthassay.stages.samples import grid_cells, left_out, split_cells
from synthassay.store.files import disk_errors_explained, write_json
from synthassay.store.provenance import package_versions, source_revision
from synthassay.store.store import StageKey
from synthassay.whole_files import PRIVATE, replacing

VERSION = 7
FILES = ("report.html", "results.json", "results.parquet")
PAGES = ("report.html", "cohort.html")


def report(line: Line, out: Path, audience: Audience) -> Path:
    """Write the report of ``line`` for ``audience`` to ``out``; returns the path of the page.

    The page is a stage of its own, so that an unchanged run finds it done; ``out`` receives copies, ``run.json`` with
    the key of every stage, and the settings without any path.
    """

    def build(workdir: Path) -> None:
        write_report(report_data(line, audience), workdir)

    _written(line, out, audience, "report", FILES, build)
    with disk_errors_explained(out):
        _write_links(line, out)
    return out / "report.html"


def cohort_page(line: Line, out: Path, audience: Audience) -> Path:
    """Write the page about the cohort of ``line``, which has prepared it, to ``out``; returns the path of the page."""

    def build(workdir: Path) -> None:
        write_cohort_page(_cohort_data(line, audience), workdir)

    _written(line, out, audience, "cohort-page", ("cohort.html",), build)
    return out / "cohort.html"


def _cohort_data(line: Line, audience: Audience) -> ReportData:
    data = report_data(line, audience, split_cells(line) if audience == "internal" else ())
    return replace(data, title=line.cohort.name, settings=line.public_spec()["cohort"])


def _written(
    line: Line, out: Path, audience: Audience, kind: str, files: Sequence[str], build: Callable[[Path], None]
) -> None:  # fmt: skip
    facts = {
        "run": line.run_id,
        "audience": audience,
        "spec": line.public_spec(),
        "revision": source_revision(),
        "packages": package_versions(),
    }
    inputs = {f"{i:03d} {s.key.stage}": s.key.digest for i, s in enumerate(line.context.stages)}
    key = StageKey(kind, VERSION, facts, {"stages": digest_of(inputs)})
    _check_company(out, audience, files)
    output = line.context.store.run(key, build)
    with disk_errors_explained(out):
        out.mkdir(parents=True, exist_ok=True)
        for name in files:
            _copy(output.path / name, out / name)


def _check_company(out: Path, audience: Audience, files: Sequence[str]) -> None:
    """A folder that is handed on for its page must not hold another page that may not leave."""
    for path in (out / name for name in PAGES if name not in files):
        if path.is_file() and (AUDIENCES["internal"] in path.read_text("utf-8", "replace")) != (audience == "internal"):
            raise UserError(f"{path} is for another audience than this page (report.audience={audience}).\n"
                            "Give a release and internal pages folders of their own: out=DIR.")  # fmt: skip


def report_data(line: Line, audience: Audience, grids: Sequence[GridCell] | None = None) -> ReportData:
    """What the page is made of; ``grids`` where its images are not those of the sets under test."""
    cohort = line.cohort
    quarantine: dict[str, int] = {}
    for row in cohort.quarantined:
        quarantine[row.reason] = quarantine.get(row.reason, 0) + 1
    for name, reasons in line.left_out.items():
        quarantine |= {f"{name}: {reason}": count for reason, count in reasons.items()}
    internal = audience == "internal"
    without = left_out(cohort)
    return ReportData(
        title=f"{cohort.name}: {', '.join(spec.name for spec in line.context.spec.generators) or 'controls only'}",
        run_id=line.run_id,
        seed=line.context.spec.seed,
        cohort=cohort_summary(cohort, line.context.spec.cohort.patient_is),
        card=line.card,
        sets=set_summaries(line),
        results=line.results,
        audience=audience,
        settings=line.public_spec(),
        grids=grid_cells(line, real_images=internal) if grids is None else grids,
        grid_left_out={"site": len(without.sites - {MISSING}), "label": len(without.labels)},
        pairs=copied_pairs(line) if internal else (),
        strips=strips(line),
        losses=loss_curves(line),
        quarantine=quarantine,
        timings=stage_timings(line.context),
        provenance=provenance_of(line),
    )


def provenance_of(line: Line) -> dict[str, Any]:
    """Versions, hardware, digests and seeds."""
    last = line.context.stages[-1].provenance
    return {
        "revision": last["revision"] or "installed package",
        "python": last["python"],
        "packages": last["packages"],
        "hardware": last["hardware"],
        "digests": line.digests(),
        "wall time of this run": f"{time.monotonic() - line.context.started:.0f} s",
        "seeds": {"run": line.context.spec.seed, "downstream": list(line.context.spec.downstream.seeds)},
    }


def _copy(source: Path, target: Path) -> None:
    with replacing(target, PRIVATE) as temporary:
        shutil.copy(source, temporary)  # with its mode: an internal page is private


def _write_links(line: Line, out: Path) -> None:
    stages = [
        {"stage": s.key.stage, "key": s.key.digest, "folder": f"{s.key.stage}/{s.key.digest}"}
        for s in line.context.stages
    ]
    snapshots = {name: {"rule": s.rule, "step": s.chosen, "steps": s.steps} for name, s in line.selections.items()}
    held = {"run_id": line.run_id, "cohort": line.cohort.content_id, "spec": line.public_spec(), "stages": stages,
            "snapshots": snapshots}  # fmt: skip
    path = out / "run.json"
    if not path.exists() or json.loads(path.read_text()) != held:
        write_json(path, held)
