"""Training losses of one generator."""

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from synthassay.reports.data import LossCurve
from synthassay.reports.figures.style import MUTED, SERIES, drawing, new_axes, to_svg
from synthassay.reports.words import short

_LABEL_CHARACTERS = 14
_POINTS = 300  # per line; more would not be seen


def loss_plot(curve: LossCurve, name: str) -> Markup | None:
    """Every loss column against the optimiser step; labels stand at the lines' ends."""
    steps = np.asarray(curve.columns["step"], np.float64)
    columns = {key: np.asarray(v, np.float64) for key, v in curve.columns.items() if key != "step"}
    columns = {key: v for key, v in columns.items() if np.isfinite(v).any()}
    if not columns:
        return None
    with drawing():
        figure, axes = new_axes(3.9, 2.5, ["0.000"], right=_LABEL_CHARACTERS * 0.07)
        for i, (key, values) in enumerate(columns.items()):
            x, y = _binned(steps, values)
            colour = SERIES[i % len(SERIES)]
            axes.plot(x, y, color=colour, linewidth=1.5, marker="o" if len(x) == 1 else "", markersize=4)
            axes.annotate(short(key, _LABEL_CHARACTERS), (x[-1], y[-1]), xytext=(4, 0), textcoords="offset points",
                          va="center", color=colour, fontsize=9, annotation_clip=False)  # fmt: skip
        everything = np.concatenate([v[np.isfinite(v)] for v in columns.values()])
        if everything.min() > 0 and everything.max() / everything.min() > 20:
            axes.set_yscale("log")
        axes.set_xlabel("optimiser step")
        axes.tick_params(axis="y", labelsize=9, labelcolor=MUTED)
        axes.grid(axis="y")
        return to_svg(figure, name, f"Training losses of {curve.generator}")


def _binned(steps: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most ``_POINTS`` points: means over equal runs of finite values."""
    kept = np.isfinite(values)
    x, y = steps[kept], values[kept]
    size = max(1, -(-len(x) // _POINTS))
    starts = np.arange(0, len(x), size)
    counts = np.diff(np.append(starts, len(x)))
    return np.add.reduceat(x, starts) / counts, np.add.reduceat(y, starts) / counts
