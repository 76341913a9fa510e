"""Downstream use: each arm's score per site and device, and beside it the difference to real training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from synthassay.records import MetricResult
from synthassay.reports.figures.style import ARM_MARKS, MUTED, PAPER, RULE, Mark, drawing, label_inches, to_svg
from synthassay.reports.words import short


@dataclass(frozen=True, slots=True)
class ForestLine:
    """One group of test patients: its label and, by arm, the scores and the differences to the arm named in them."""

    label: str
    scores: Mapping[str, MetricResult]
    differences: Mapping[str, MetricResult]


def forest(lines: Sequence[ForestLine], score: str, name: str) -> Markup | None:
    """A forest plot: arms as colours, groups as lines; left the scores, right the differences. ``score`` names them."""
    arms = [arm for arm in ARM_MARKS if any(arm in line.scores for line in lines)]
    if not arms:
        return None
    compared = [arm for arm in ARM_MARKS if any(arm in line.differences for line in lines)]
    with drawing():
        labels = [short(line.label, 30) for line in lines]
        figure, left, right = _axes(13.0, 0.65 + len(lines) * (0.12 + 0.11 * len(arms)), labels)
        for y, line in enumerate(lines):
            _line(left, y, arms, line.scores)
            _line(right, y, compared, line.differences)
        _finish(left, labels, score)
        right.axvline(0, color=MUTED, linewidth=1, zorder=1)
        right.set_xlabel(f"difference in {score} to training on real images")
        _widen(right)
        return to_svg(figure, name, f"{score} of each training arm per group of test patients")


def _axes(width: float, height: float, labels: Sequence[str]) -> tuple[Figure, Axes, Axes]:
    """Scores at the left, differences at the right, sharing the lines."""
    figure = Figure(figsize=(width, height))
    start, bottom, gap = label_inches(labels), 0.5, 0.3
    room = width - start - gap - 0.15
    tall = (height - bottom - 0.08) / height
    left = figure.add_axes((start / width, bottom / height, 0.58 * room / width, tall))
    at = start + 0.58 * room + gap
    right = figure.add_axes((at / width, bottom / height, 0.42 * room / width, tall), sharey=left)
    right.tick_params(labelleft=False)
    return figure, left, right


def _line(axes: Axes, y: int, arms: Sequence[str], results: Mapping[str, MetricResult]) -> None:
    step = 0.72 / max(1, len(arms))
    for i, arm in enumerate(arms):
        row = results.get(arm)
        if row is not None:
            _dot(axes, y + (i - (len(arms) - 1) / 2) * step, row, ARM_MARKS[arm])


def _dot(axes: Axes, y: float, row: MetricResult, mark: Mark) -> None:
    if row.value is None:
        return
    if row.ci_low is not None and row.ci_high is not None:
        axes.plot([row.ci_low, row.ci_high], [y, y], color=mark.colour, linewidth=1.5, solid_capstyle="round", zorder=3)
    fill = mark.colour if row.status == "ok" else PAPER
    axes.plot([row.value], [y], marker=mark.marker, markersize=5.5, color=mark.colour, markerfacecolor=fill,
              markeredgewidth=1.2, linestyle="none", zorder=4)  # fmt: skip


def _finish(axes: Axes, labels: Sequence[str], score: str) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.set_xlabel(score)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.45) if low > 0.3 else low, max(high, 1.0))
    for other in axes.figure.axes:
        other.grid(axis="x")
        other.spines["left"].set_visible(False)
        for y in range(1, len(labels)):
            other.axhline(y - 0.5, color=RULE, linewidth=0.6, zorder=0)


def _widen(axes: Axes) -> None:
    """Zero in sight and at least ±0.05 around it, so that noise does not look like an effect."""
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.05), max(high, 0.05))
    axes.xaxis.set_major_locator(MaxNLocator(5))
