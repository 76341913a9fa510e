"""Experiment trackers: none, or Weights & Biases. Never needed for a result."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from synthassay.records import MetricResult
from synthassay.store.store import safe_name

Mode = Literal["online", "offline", "disabled"]


class Tracker(Protocol):
    """Where a run's values may be sent."""

    real_images: bool  # whether grids of real images may be sent

    def start(self, run_id: str, name: str, config: Mapping[str, Any]) -> None:
        """Open, or continue, the run ``run_id``."""

    def log_step(self, what: str, step: int, values: Mapping[str, float]) -> None:
        """Values of the work ``what`` at one step of it."""

    def finish(
        self, results: Sequence[MetricResult], grids: Mapping[str, NDArray[np.uint8]], digests: Mapping[str, str]
    ) -> None:
        """Results, image grids ``[h, w, c]`` by set name, and content digests."""

    def close(self) -> None:
        """End what was started, also after an error; harmless when repeated."""


class NoTracker:
    """Sends nothing."""

    real_images: bool = False

    def start(self, run_id: str, name: str, config: Mapping[str, Any]) -> None:
        """Ignore."""

    def log_step(self, what: str, step: int, values: Mapping[str, float]) -> None:
        """Ignore."""

    def finish(
        self, results: Sequence[MetricResult], grids: Mapping[str, NDArray[np.uint8]], digests: Mapping[str, str]
    ) -> None:
        """Ignore."""

    def close(self) -> None:
        """Ignore."""


class WandbTracker:
    """Weights & Biases: losses, grids, the results table, and digests as artifacts.

    The run id follows from the run's identity, so a restarted run continues the same W&B run. Without an API key the
    run is written to ``folder`` only; ``wandb sync`` sends it later.
    """

    def __init__(self, *, project: str, entity: str | None, mode: Mode, folder: Path, real_images: bool) -> None:
        self.project, self.entity, self.mode, self.folder = project, entity, mode, folder
        self.real_images = real_images
        self._run: Any = None

    def start(self, run_id: str, name: str, config: Mapping[str, Any]) -> None:
        """Open, or continue, the run."""
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        mode = self._usable_mode(wandb)
        # disable_git, disable_code, host name off: what is sent is what this class sends.
        settings = wandb.Settings(
            init_timeout=20,
            silent=True,
            disable_git=True,
            disable_code=True,
            console="off",
            x_disable_machine_info=True,
            x_disable_meta=True,
            program="synthassay",
        )

        def begin(mode: Mode) -> Any:
            return wandb.init(
                mode=mode,
                project=self.project,
                entity=self.entity,
                id=run_id,
                name=name,
                resume="allow",
                dir=str(self.folder),
                config=dict(config),
                settings=settings,
            )

        try:
            self._run = begin(mode)
        except wandb.errors.CommError:
            print("W&B cannot be reached; this run is logged offline", file=sys.stderr)
            self._run = begin("offline")

    def _usable_mode(self, wandb: Any) -> Mode:
        if self.mode != "online":
            return self.mode
        asked: dict[str | None, Mode] = {"offline": "offline", "disabled": "disabled"}
        if os.environ.get("WANDB_MODE") in asked:
            return asked[os.environ.get("WANDB_MODE")]
        if not (os.environ.get("WANDB_API_KEY") or wandb.api.api_key):
            print(
                f"W&B: no API key found (wandb login), so this run is logged offline under {self.folder}; "
                "`wandb sync` sends it later",
                file=sys.stderr,
            )
            return "offline"
        return "online"

    def log_step(self, what: str, step: int, values: Mapping[str, float]) -> None:
        """Values against the step of their own work: each has its own axis."""
        if self._run is None:
            return
        axis = f"{what}/step"
        self._run.define_metric(f"{what}/*", step_metric=axis)
        self._run.log({axis: step} | {f"{what}/{name}": value for name, value in values.items()})

    def finish(
        self, results: Sequence[MetricResult], grids: Mapping[str, NDArray[np.uint8]], digests: Mapping[str, str]
    ) -> None:
        """The results table, a summary value per headline metric, the grids and the digests."""
        import wandb

        if self._run is None:
            return
        rows = [row.to_row() for row in results]
        if rows:
            columns: list[str | int] = list(rows[0])
            table = wandb.Table(columns=columns, data=[list(row.values()) for row in rows])
            self._run.log({"results": table})
        for row in results:
            if row.group == "all" and row.value is not None and row.reference in ("test", ""):
                name = "/".join(part for part in (row.generator, row.metric, row.variant, row.encoder) if part)
                self._run.summary[name] = row.value
        for name, grid in grids.items():
            self._run.log({f"samples/{name}": wandb.Image(grid, caption=name)})
        for name, digest in digests.items():
            kind = "model" if name.startswith("model ") else "dataset"
            artifact = wandb.Artifact(safe_name(f"{name}-{self._run.id}"), type=kind, metadata={"digest": digest})
            with artifact.new_file("digest.txt") as stream:
                stream.write(digest + "\n")
            self._run.log_artifact(artifact)

    def close(self) -> None:
        """Finish the W&B run; what was logged before an error is kept."""
        if self._run is not None:
            self._run.finish()
            self._run = None
