"""Utility against the privacy budget."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from synthassay.records import MetricResult
from synthassay.reports.figures.style import BAND, MUTED, PAPER, Mark, drawing, new_axes, to_svg
from synthassay.reports.numbers import number, tick
from synthassay.reports.words import metric_name, short


class Point(NamedTuple):
    """A set: its ``epsilon`` (None: trained without noise) and what it is worth."""

    epsilon: float | None
    row: MetricResult


def privacy_curve(points: Sequence[Point], marks: Mapping[str, Mark], name: str) -> Markup:
    """Value with interval against ε, from strict to loose; sets without a guarantee stand at the right, at ∞."""
    ordered = sorted(points, key=lambda p: float("inf") if p.epsilon is None else p.epsilon)
    with drawing():
        figure, axes = new_axes(3.9, 2.9, ["0.000"], bottom=0.65)
        floor = ordered[0].row
        if floor.floor_ci_low is not None and floor.floor_ci_high is not None:
            axes.axhspan(floor.floor_ci_low, floor.floor_ci_high, color=BAND, linewidth=0, zorder=0)
        if floor.floor is not None:
            axes.axhline(floor.floor, color=MUTED, linewidth=1, linestyle=(0, (1, 1.5)), zorder=1)
        for x, (_, row) in enumerate(ordered):
            mark = marks.get(row.generator, Mark(MUTED, "o"))
            if row.ci_low is not None and row.ci_high is not None:
                axes.plot([x, x], [row.ci_low, row.ci_high], color=mark.colour, linewidth=1.8, zorder=3)
            fill = mark.colour if row.status == "ok" else PAPER
            axes.plot([x], [row.value or 0.0], marker=mark.marker, markersize=7, color=mark.colour,
                      markerfacecolor=fill, linestyle="none", zorder=4)  # fmt: skip
        axes.set_xticks(range(len(ordered)), [_label(i, point) for i, point in enumerate(ordered)])
        axes.set_xlim(-0.5, len(ordered) - 0.5)
        axes.yaxis.set_major_formatter(lambda value, _: tick(value))
        axes.tick_params(axis="y", labelsize=9, labelcolor=MUTED)
        axes.grid(axis="y")
        return to_svg(figure, name, f"{metric_name(floor.metric)} against the privacy budget")


def _label(i: int, point: Point) -> str:
    """ε and below it the name; every second name one line lower, so that they do not meet."""
    epsilon = "∞" if point.epsilon is None else number(point.epsilon, 1)
    return "\n".join([epsilon, *([""] if i % 2 else []), short(point.row.generator, 12)])
