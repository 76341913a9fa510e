"""A run from specs to report, with its tracker."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from numpy.typing import NDArray
from omegaconf import DictConfig

from synthassay.cli.cohort_tables import cohort_tables
from synthassay.cli.folders import folder_of
from synthassay.cli.processes import found_place, joined_team
from synthassay.cli.progress import BarProgress
from synthassay.cli.trackers import NoTracker, Tracker
from synthassay.records import UNLABELLED
from synthassay.reports.release import publishable
from synthassay.reports.snapshots import snapshot_line
from synthassay.specs import Resources
from synthassay.stages.context import RunContext, RunSpec
from synthassay.stages.exhibits import loss_curves
from synthassay.stages.line import Line
from synthassay.stages.report import cohort_page, report
from synthassay.stages.samples import tracker_grids
from synthassay.stages.team_store import TeamStore
from synthassay.store.provenance import usable_cores
from synthassay.store.store import Store
from synthassay.team import apart


def run_session(
    config: DictConfig, specs: dict[str, Any], resources: Resources, tracker: Tracker, progress: BarProgress, until: str
) -> str:
    """Run the line; returns (and prints, last) the path of the page, or the store's where a stage leaves none."""
    device = resources.torch_device()  # an absent GPU is said before any work
    with joined_team(device) as team:
        root = folder_of(config, "store.root")
        context = RunContext(
            spec=RunSpec(**specs),
            store=Store(root) if team.size == 1 else TeamStore(root),
            keys=folder_of(config, "store.keyring"),
            resources=with_threads(resources),
            progress=progress,
        )
        line = Line(context)
        line.prepare()
        if (line.cohort.images.labels == UNLABELLED).all() and until != "prepare":
            progress.note("The scans have no labels: generators are trained without them, and classifiers not at all.")
        name = f"{line.cohort.name}-{line.run_id}"
        tracker.start(line.run_id, name, {"run_id": line.run_id, "spec": line.public_spec()})
        try:
            line.run_until(until)
            if team.rank:
                return str(root)
            _tell_snapshots(line, tracker, progress)
            with apart():
                return _conclude(line, config, tracker, progress, until, name)
        finally:
            tracker.close()


def _conclude(line: Line, config: DictConfig, tracker: Tracker, progress: BarProgress, until: str, name: str) -> str:
    """What one process says of the run at its end: tables and a page."""
    root = line.context.store.root
    if until == "prepare":
        progress.note(cohort_tables(line.cohort))
        page = cohort_page(line, output_folder(config, root.parent, name), config.report.audience)
        return _say(progress, "the page about these scans:", str(page))
    if until != "report":
        return _say(progress, f"{until} is done; its output is in the store", str(root))
    if not isinstance(tracker, NoTracker):
        _replay_losses(line, tracker)
    path = report(line, output_folder(config, root.parent, name), config.report.audience)
    tracker.finish(publishable(line.results), _cleared_grids(line, tracker.real_images), line.digests())
    return _say(progress, "the report:", str(path))


def output_folder(config: DictConfig, parent: Path, name: str) -> Path:
    """Where the report goes: ``out``, with a folder of its own for each cell of a sweep, or a name in ``parent``.

    A release has its own name, so that it never takes the place of an internal page or the reverse.
    """
    if config.out is not None:
        chosen = folder_of(config, "out")
        return chosen / name if HydraConfig.get().mode == RunMode.MULTIRUN else chosen
    return parent / (f"{name}-release" if config.report.audience == "release" else name)


def _cleared_grids(line: Line, real_images: bool) -> dict[str, NDArray[np.uint8]]:
    """Sample grids that may leave the organisation: not of a set in which copies of patients were found."""
    copied = {r.generator for r in line.results if r.metric == "memorisation_verdict" and r.value == 1.0}
    grids = tracker_grids(line, real_images)
    return {name: grid for name, grid in grids.items() if real_images or name not in copied}


def _replay_losses(line: Line, tracker: Tracker) -> None:
    """Losses of generators that were found trained: the tracker did not see them happen."""
    for curve in loss_curves(line):
        name, *_ = curve.generator.split()  # a generator of two trainings has a curve of each
        if line.trained[name].found_done:
            for i, step in enumerate(curve.columns["step"]):
                values = {column: float(v[i]) for column, v in curve.columns.items() if column != "step"}
                tracker.log_step(f"train {curve.generator}", int(step), values)


def _tell_snapshots(line: Line, tracker: Tracker, progress: BarProgress) -> None:
    """Which state of each training was sampled: a line on the terminal, and to the tracker all that were compared."""
    for name, chosen in line.selections.items():
        progress.note(snapshot_line(name, chosen))
        for candidate in chosen.candidates:
            values = {"kid": candidate.kid, "standard_error": candidate.standard_error}
            tracker.log_step(f"select {name}", candidate.step, values | {"chosen": candidate.step == chosen.chosen})


def _say(progress: BarProgress, text: str, path: str) -> str:
    progress.note(text)
    print(path, flush=True)
    return path


def with_threads(resources: Resources) -> Resources:
    """Give torch the threads that were asked for; by default as many as this process may use.

    Processes that share a machine's cores share them out.
    """
    import torch

    sharing = found_place(os.environ).sharing
    threads = resources.threads or max(1, usable_cores() // sharing)
    torch.set_num_threads(threads)
    return resources if sharing == 1 else resources.model_copy(update={"threads": threads})
