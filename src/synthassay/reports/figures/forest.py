"""Downstream use: each arm's score per site and device, and beside it the difference to real training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from synthassay.records import MetricResult
from synthassay.reports.figures.style import ARM_MARKS, MUTED, RULE, draw_estimate, drawing, new_axes, to_svg
from synthassay.reports.words import short

_WIDTH = 6.0
_LINE_INCHES = 0.56  # per group of patients


@dataclass(frozen=True, slots=True)
class ForestLine:
    """One group of test patients: its label and, by arm, the scores and the differences to the arm named in them."""

    label: str
    scores: Mapping[str, MetricResult]
    differences: Mapping[str, MetricResult]


def forest(lines: Sequence[ForestLine], score: str, name: str) -> tuple[Markup, Markup | None] | None:
    """A forest plot in two parts, the scores and the differences: arms as colours, groups as lines.

    ``score`` names what is shown. None without scores; the second part is None without differences.
    """
    scores = _part(lines, [line.scores for line in lines], score, f"{name}-scores")
    if scores is None:
        return None
    gaps = [line.differences for line in lines]
    return scores, _part(lines, gaps, f"difference in {score} to training on real images", f"{name}-gaps")


def _part(
    lines: Sequence[ForestLine], results: Sequence[Mapping[str, MetricResult]], title: str, name: str
) -> Markup | None:  # fmt: skip
    arms = [arm for arm in ARM_MARKS if any(arm in by_arm for by_arm in results)]
    if not arms:
        return None
    with drawing():
        labels = [short(line.label, 26) for line in lines]
        figure, axes = new_axes(_WIDTH, 0.65 + len(lines) * _LINE_INCHES, labels)
        for y, by_arm in enumerate(results):
            _line(axes, y, arms, by_arm)
        axes.set_xlabel(title)
        _finish(axes, labels, about_zero=any(row.metric.endswith("_difference") for row in results[0].values()))
        return to_svg(figure, name, f"{title}, per group of test patients")


def _line(axes: Axes, y: int, arms: Sequence[str], results: Mapping[str, MetricResult]) -> None:
    step = 0.72 / max(1, len(arms))
    for i, arm in enumerate(arms):
        row = results.get(arm)
        if row is not None:
            draw_estimate(axes, row, y + (i - (len(arms) - 1) / 2) * step, ARM_MARKS[arm], size=5.5, line=1.5, edge=1.2)


def _finish(axes: Axes, labels: Sequence[str], about_zero: bool) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    for y in range(1, len(labels)):
        axes.axhline(y - 0.5, color=RULE, linewidth=0.6, zorder=0)
    low, high = axes.get_xlim()
    if about_zero:  # at least ±0.05 around it, so that noise does not look like an effect
        axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
        axes.set_xlim(min(low, -0.05), max(high, 0.05))
    else:
        axes.set_xlim(min(low, 0.45) if low > 0.3 else low, max(high, 1.0))
    axes.xaxis.set_major_locator(MaxNLocator(6))
