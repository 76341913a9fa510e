"""Dot and interval per set, with the floor of real patients behind it: fidelity and memorisation."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from synthassay.records import MetricResult
from synthassay.reports.figures.style import BAND, MUTED, RULE, WARN, Mark, draw_estimate, drawing, new_axes, to_svg
from synthassay.reports.numbers import tick
from synthassay.reports.words import metric_name, short

_BOUNDED = {"precision", "recall", "coverage", "authenticity"}
_ROW_INCHES = 0.29


def dot_plot(rows: Sequence[MetricResult], marks: Mapping[str, Mark], name: str, rule: float | None = None) -> Markup:
    """One line per row: its value and interval, hollow unless its status is ok, over its own floor with interval.

    ``rule`` draws a vertical line where the reader should look (a threshold); the scale is then linear.
    """
    with drawing():
        labels = [short(row.generator, 16) for row in rows]
        figure, axes = new_axes(3.9, 0.72 + _ROW_INCHES * max(2, len(rows)), labels)
        for y, row in enumerate(rows):
            _floor(axes, row, y)
        scale = _scale(axes, rows) if rule is None else ""
        axes.xaxis.set_major_formatter(lambda value, _: tick(value))
        for y, row in enumerate(rows):
            _dot(axes, row, y, marks.get(row.generator, Mark(MUTED, "o")))
        if rule is not None:
            axes.axvline(rule, color=WARN, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(_axis_label(rows[0], scale))
        return to_svg(figure, name, f"{metric_name(rows[0].metric)} of each set with interval and floor")


def _floor(axes: Axes, row: MetricResult, y: int) -> None:
    if row.floor_ci_low is not None and row.floor_ci_high is not None:
        axes.fill_betweenx([y - 0.5, y + 0.5], row.floor_ci_low, row.floor_ci_high, color=BAND, linewidth=0, zorder=0)
    if row.floor is not None:
        axes.plot([row.floor, row.floor], [y - 0.5, y + 0.5], color=MUTED, linewidth=1, linestyle=(0, (1, 1.5)),
                  zorder=1)  # fmt: skip


def _dot(axes: Axes, row: MetricResult, y: int, mark: Mark) -> None:
    if row.value is None:
        axes.text(0.01, y, row.status, transform=axes.get_yaxis_transform(), va="center", ha="left", fontsize=8.5,
                  color=MUTED, fontstyle="italic")  # fmt: skip
        return
    draw_estimate(axes, row, y, mark, size=6.5)


def _ends(rows: Sequence[MetricResult]) -> list[float]:
    numbers = [(r.value, r.ci_low, r.ci_high, r.floor, r.floor_ci_low, r.floor_ci_high) for r in rows]
    return [v for row in numbers for v in row if v is not None]


def _scale(axes: Axes, rows: Sequence[MetricResult]) -> str:
    """Choose the x scale: 0 to 1 for shares, logarithmic when the values span more than a factor of 30."""
    if rows[0].metric in _BOUNDED:
        axes.set_xlim(-0.03, 1.03)
        return ""
    ends = _ends(rows)
    values = [abs(row.value) for row in rows if row.value]
    if not values or max(values) / min(values) < 30:
        if ends and min(ends) >= 0:
            axes.set_xlim(left=0, right=max(ends) * 1.06 or 1)
        return ""
    if min(ends) > 0:
        axes.set_xscale("log")
        _set_decades(axes, min(ends), max(ends))
        return "log scale"
    threshold = 10.0 ** math.floor(math.log10(max(min(values), max(values) / 1e3)))
    axes.set_xscale("symlog", linthresh=threshold, linscale=0.6)
    _set_decades(axes, threshold, max(ends), min(ends))
    axes.axvline(0, color=RULE, linewidth=1.2, zorder=0)
    return "log scale, linear near 0"


def _set_decades(axes: Axes, low: float, high: float, lowest: float | None = None) -> None:
    """Ticks from ``low`` to ``high`` at powers of ten, in between too where these are few; with ``lowest`` also 0."""
    left, right = (low * 0.75 if lowest is None else min(lowest * 1.5, -0.15 * low)), high * 1.4
    decades = [10.0**e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    places = [p for p in decades if low * 0.75 <= p <= right]
    if lowest is None and len(places) < 3:
        places = [factor * p for p in decades for factor in (1, 3)]
    places = places[:: -max(1, math.ceil(len(places) / 6))]
    if lowest is not None:
        places = [p for p in places if p > low] + [0.0] + ([-decades[-1]] if lowest < -low else [])
    axes.set_xlim(left, right)
    axes.set_xticks([p for p in sorted(places) if left <= p <= right])
    axes.xaxis.set_minor_locator(NullLocator())


def _axis_label(row: MetricResult, scale: str) -> str:
    return " · ".join(filter(None, ["" if row.unit == "1" else short(row.unit, 28), scale]))
