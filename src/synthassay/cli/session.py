"""A run from specs to report, with its tracker."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from synthassay.cli.progress import BarProgress
from synthassay.cli.trackers import Tracker
from synthassay.specs import Resources
from synthassay.stages.context import RunContext, RunSpec
from synthassay.stages.exhibits import tracker_grids
from synthassay.stages.line import Line
from synthassay.stages.report import report
from synthassay.store.store import Store


def run_session(
    config: DictConfig, specs: dict[str, Any], resources: Resources, tracker: Tracker, progress: BarProgress, until: str
) -> str:
    """Run the line; returns (and prints, last) the report's path, or the store's when the line stops earlier."""
    resources.torch_device()  # an absent GPU is said before any work
    use_threads(resources)
    context = RunContext(
        spec=RunSpec(**specs),
        store=Store(Path(config.store.root).expanduser()),
        keys=Path(config.store.keyring).expanduser(),
        resources=resources,
        progress=progress,
    )
    line = Line(context)
    line.prepare()
    name = f"{line.cohort.name}-{line.run_id}"
    tracker.start(line.run_id, name, {"run_id": line.run_id, "spec": line.public_spec()})
    try:
        line.run_until(until)
        if until != "report":
            return _say(progress, f"{until} is done; its output is in the store", str(context.store.root))
        out = Path(config.out).expanduser() if config.out else context.store.root.parent / name
        path = report(line, out, config.report.audience)
        tracker.finish(line.results, tracker_grids(line, tracker.real_images), line.digests())
    finally:
        tracker.close()
    return _say(progress, "the report:", str(path))


def _say(progress: BarProgress, text: str, path: str) -> str:
    progress.note(text)
    print(path, flush=True)
    return path


def use_threads(resources: Resources) -> None:
    """Give torch the threads that were asked for; by default as many as this process may use."""
    import torch

    from synthassay.store.provenance import usable_cores

    torch.set_num_threads(resources.threads or usable_cores())
