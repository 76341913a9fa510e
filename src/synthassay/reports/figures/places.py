"""The real data by place: shares and distances with intervals, ages as ranges, intensities as lines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from synthassay.card import CardRow, Histogram
from synthassay.reports.figures.style import BAND, MUTED, PAPER, Mark, draw_estimate, drawing, new_axes, to_svg
from synthassay.reports.numbers import tick
from synthassay.reports.words import short

_WIDTH = 3.9
_LABEL = 24  # characters
_ROW_INCHES = 0.3


@dataclass(frozen=True, slots=True)
class PlaceLine:
    """One line of a figure: its label, and one or several numbers with the mark of each."""

    label: str
    rows: Sequence[tuple[CardRow, Mark]]


def place_dots(
    lines: Sequence[PlaceLine], name: str, axis: str, limits: tuple[float, float] | None = None,
    rule: float | None = None,
) -> Markup | None:  # fmt: skip
    """Dot and interval of each number, hollow where it is descriptive, over the range that chance gives it.

    ``limits`` of the axis; ``rule`` draws a vertical line. None where no number has a value.
    """
    if not any(row.value is not None for line in lines for row, _ in line.rows):
        return None
    with drawing():
        labels = [short(line.label, _LABEL) for line in lines]
        spread = max(len(line.rows) for line in lines)
        height = max(_ROW_INCHES, 0.13 * spread + 0.1)
        figure, axes = new_axes(_WIDTH, 0.6 + height * max(2, len(lines)), labels)
        for y, line in enumerate(lines):
            step = 0.7 / max(1, len(line.rows))
            for i, (row, mark) in enumerate(line.rows):
                _dot(axes, row, y + (i - (len(line.rows) - 1) / 2) * step, mark, 0.5 if spread == 1 else step / 2)
        if rule is not None:
            axes.axvline(rule, color=MUTED, linewidth=1, zorder=1)
        _finish(axes, labels, axis, limits)
        return to_svg(figure, name, f"{axis}, by place")


def _dot(axes: Axes, row: CardRow, y: float, mark: Mark, half: float) -> None:
    if row.floor_ci_low is not None and row.floor_ci_high is not None:
        axes.fill_betweenx([y - half, y + half], row.floor_ci_low, row.floor_ci_high, color=BAND, linewidth=0, zorder=0)
    if row.value is None:
        axes.text(0.01, y, "too few patients" if row.status == "absent" else row.status, va="center", fontsize=8.5,
                  transform=axes.get_yaxis_transform(), color=MUTED, fontstyle="italic")  # fmt: skip
        return
    draw_estimate(axes, row, y, mark, size=6)


def _finish(axes: Axes, labels: Sequence[str], title: str, limits: tuple[float, float] | None) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.45, -0.55)
    if limits is not None:
        axes.set_xlim(*limits)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda value, _: tick(value))
    axes.set_xlabel(title)


@dataclass(frozen=True, slots=True)
class Ages:
    """Quantiles of the patients of one place: 5, 25, 50, 75 and 95%."""

    label: str
    quantiles: tuple[float | None, ...]
    mark: Mark


def age_ranges(places: Sequence[Ages], name: str) -> Markup | None:
    """For each place the middle half of its patients as a thick bar, the middle 90% as a thin one, and the median."""
    if not any(value is not None for place in places for value in place.quantiles):
        return None
    with drawing():
        labels = [short(place.label, _LABEL) for place in places]
        figure, axes = new_axes(_WIDTH, 0.6 + _ROW_INCHES * max(2, len(places)), labels)
        for y, place in enumerate(places):
            for low, high, width in ((0, 4, 1.4), (1, 3, 6.0)):
                left, right = place.quantiles[low], place.quantiles[high]
                if left is not None and right is not None:
                    axes.plot(
                        [left, right], [y, y], color=place.mark.colour, linewidth=width, solid_capstyle="butt", zorder=3
                    )
            if place.quantiles[2] is not None:
                axes.plot([place.quantiles[2]], [y], marker="o", markersize=6.5, color=PAPER, zorder=4,
                          markeredgecolor=place.mark.colour, markeredgewidth=1.5)  # fmt: skip
        _finish(axes, labels, "age in years", None)
        return to_svg(figure, name, "Age of patients, by place")


def intensity_lines(curves: Sequence[tuple[Histogram, Mark]], name: str) -> Markup | None:
    """The spread of pixel values of each place, as lines over the stored range."""
    if not curves:
        return None
    with drawing():
        figure, axes = new_axes(_WIDTH, 2.4, ["0.01%"])
        for histogram, mark in curves:
            edges = np.linspace(0, 1, len(histogram.shares) + 1)
            axes.stairs(100 * histogram.shares, edges, color=mark.colour, linewidth=1.4, baseline=None)
        axes.set_yscale("log")  # the background of a scan may hold a hundred times the pixels of anything else
        axes.yaxis.set_major_formatter(lambda value, _: f"{tick(value)}%")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.tick_params(axis="y", labelsize=9, labelcolor=MUTED)
        axes.set_xlim(0, 1)
        axes.grid(axis="y")
        axes.set_xlabel("stored intensity, black to white")
        return to_svg(figure, name, "Spread of pixel values, by place")
