"""Precision against recall, with the controls as rulers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup
from matplotlib.axes import Axes

from synthassay.records import MetricResult
from synthassay.reports.figures.style import BAND, MUTED, PAPER, Mark, drawing, new_axes, to_svg
from synthassay.reports.words import short

_LABEL_GAP = 0.085  # of the axis height, between the middles of two labels

Pair = tuple[MetricResult, MetricResult]


class _Point(NamedTuple):
    x: float
    y: float
    precision: MetricResult
    recall: MetricResult

    @property
    def name(self) -> str:
        return self.precision.generator


def precision_recall(pairs: Sequence[Pair], marks: Mapping[str, Mark], name: str) -> Markup | None:
    """``pairs`` are (precision, recall) of one set each; those without both values are left out."""
    drawn = [_Point(r.value, p.value, p, r) for p, r in pairs if p.value is not None and r.value is not None]
    if not drawn:
        return None
    with drawing():
        figure, axes = new_axes(3.9, 2.75, ["precision"])
        _floor(axes, drawn[0])
        for point in drawn:
            _dot(axes, point, marks.get(point.name, Mark(MUTED, "o")))
        _labels(axes, drawn)
        axes.set_xlim(-0.03, 1.24)
        axes.set_ylim(-0.04, 1.14)
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.tick_params(axis="y", labelsize=9, labelcolor=MUTED)
        axes.grid()
        axes.set_xlabel("recall · higher is better")
        axes.set_ylabel("precision")
        return to_svg(figure, name, "Precision against recall of each set")


def _floor(axes: Axes, point: _Point) -> None:
    precision, recall = point.precision, point.recall
    if recall.floor is not None:
        axes.axvline(recall.floor, color=MUTED, linewidth=1, linestyle=(0, (1, 1.5)), zorder=1)
    if precision.floor is not None:
        axes.axhline(precision.floor, color=MUTED, linewidth=1, linestyle=(0, (1, 1.5)), zorder=1)
    if recall.floor_ci_low is not None and recall.floor_ci_high is not None:
        axes.axvspan(recall.floor_ci_low, recall.floor_ci_high, color=BAND, linewidth=0, zorder=0)
    if precision.floor_ci_low is not None and precision.floor_ci_high is not None:
        axes.axhspan(precision.floor_ci_low, precision.floor_ci_high, color=BAND, linewidth=0, zorder=0)


def _dot(axes: Axes, point: _Point, mark: Mark) -> None:
    x, y, precision, recall = point
    if recall.ci_low is not None and recall.ci_high is not None:
        axes.plot([recall.ci_low, recall.ci_high], [y, y], color=mark.colour, linewidth=1.4, zorder=3)
    if precision.ci_low is not None and precision.ci_high is not None:
        axes.plot([x, x], [precision.ci_low, precision.ci_high], color=mark.colour, linewidth=1.4, zorder=3)
    solid = precision.status == recall.status == "ok"
    axes.plot([x], [y], marker=mark.marker, markersize=7.5, color=mark.colour, zorder=4, linestyle="none",
              markerfacecolor=mark.colour if solid else PAPER, markeredgewidth=1.4)  # fmt: skip


def _labels(axes: Axes, drawn: Sequence[_Point]) -> None:
    """A label beside each point, pushed down where it would cover another one, then tied to its point by a line."""
    placed: list[tuple[float, float]] = []
    for point in sorted(drawn, key=lambda p: -p.y):
        x, at = point.x, point.y
        while any(abs(at - other_y) < _LABEL_GAP and abs(x - other_x) < 0.25 for other_x, other_y in placed):
            at -= 0.01
        placed.append((x, at))
        if abs(at - point.y) > 0.05:
            axes.plot([x, x + 0.025], [point.y, at + 0.02], color=MUTED, linewidth=0.6, zorder=2)
        axes.text(x + 0.025, at + 0.02, short(point.name, 14), va="bottom", ha="left", fontsize=9, zorder=5)
