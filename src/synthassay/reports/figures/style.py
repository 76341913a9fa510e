"""One look for all figures: colours that follow the page's theme, text that stays text, no outside resource.

The palette is Okabe and Ito's (2008), which readers with any common colour vision tell apart; every series has a
marker of its own as well. Colours are written as CSS variables, so that a dark page gets dark figures.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from synthassay.reports.words import clean

INK, MUTED, RULE, BAND, PAPER, WARN = "#1b2430", "#66707f", "#d8dde6", "#dbe7f4", "#fefefe", "#b3261e"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", BAND: "band", PAPER: "card", WARN: "bad"} | {
    colour: f"series-{i}" for i, colour in enumerate(SERIES)
}
_CONTROL_MARKERS = {"oracle": "D", "copycat": "^", "blend": "s", "noise": "X"}
_SPARE_MARKERS = ("P", "v", "<", ">", "h", "*")
_RC: Any = {
    "axes.edgecolor": RULE, "axes.labelcolor": MUTED, "axes.labelsize": 9.5, "axes.linewidth": 0.8,
    "axes.spines.right": False, "axes.spines.top": False, "axes.axisbelow": True,
    "axes.formatter.limits": (-6, 7), "axes.unicode_minus": True,
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "font.family": ["DejaVu Sans"],
    "font.size": 10, "grid.color": RULE, "grid.linewidth": 0.6, "svg.fonttype": "none", "svg.hashsalt": "synthassay",
    "text.color": INK, "text.parse_math": False, "text.usetex": False, "xtick.color": MUTED, "ytick.color": INK,
    "xtick.labelsize": 9, "ytick.labelsize": 10, "ytick.major.size": 0, "xtick.major.size": 3, "xtick.minor.size": 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """How one series is drawn."""

    colour: str
    marker: str


def set_marks(tested: Sequence[str], controls: Sequence[str]) -> dict[str, Mark]:
    """A mark per set: colours for the sets under test, grey shapes for the controls, which are rulers."""
    marks = {name: Mark(SERIES[i % len(SERIES)], "o") for i, name in enumerate(tested)}
    spare = iter(_SPARE_MARKERS * (1 + len(controls)))
    for name in controls:
        marks[name] = Mark(MUTED, _CONTROL_MARKERS.get(name) or next(spare))
    return marks


ARM_MARKS = {
    "real": Mark(INK, "D"),
    "real-long": Mark(MUTED, "s"),
    "synthetic": Mark(SERIES[1], "o"),
    "both": Mark(SERIES[0], "o"),
    "metadata": Mark(MUTED, "X"),
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw inside this context; names in scripts that the measuring font lacks are laid out by the browser."""
    with mpl.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        yield


def label_inches(labels: Sequence[str]) -> float:
    """Room for tick labels at the left. The page sets its own font, so measuring exactly would gain nothing."""
    return 0.22 + 0.074 * max((len(label) for label in labels), default=0)


def new_axes(
    width: float, height: float, labels: Sequence[str], right: float = 0.24, bottom: float = 0.5
) -> tuple[Figure, Axes]:
    """A figure of ``width`` × ``height`` inches with one axes, room for ``labels`` at its left, and other margins.

    Fixed margins: matplotlib's layout engines would draw every figure twice.
    """
    figure = Figure(figsize=(width, height))
    left = label_inches(labels)
    box = (left / width, bottom / height, (width - left - right) / width, (height - bottom - 0.08) / height)
    return figure, figure.add_axes(box)


class Estimated(Protocol):
    """A value with its interval, as results and rows of the data card have it."""

    @property
    def value(self) -> float | None:
        """None where there is none."""

    @property
    def ci_low(self) -> float | None:
        """Lower end of the interval."""

    @property
    def ci_high(self) -> float | None:
        """Upper end of the interval."""

    @property
    def status(self) -> str:
        """``ok``, or why the value proves less."""


def draw_estimate(
    axes: Axes, row: Estimated, y: float, mark: Mark, size: float, line: float = 1.8, edge: float = 1.4
) -> None:
    """The value of ``row`` at height ``y`` with its interval; hollow unless its status is ok. Nothing without one."""
    if row.value is None:
        return
    if row.ci_low is not None and row.ci_high is not None:
        axes.plot([row.ci_low, row.ci_high], [y, y], color=mark.colour, linewidth=line, solid_capstyle="round",
                  zorder=3)  # fmt: skip
    fill = mark.colour if row.status == "ok" else PAPER
    axes.plot([row.value], [y], marker=mark.marker, markersize=size, color=mark.colour, markerfacecolor=fill,
              markeredgewidth=edge, linestyle="none", zorder=4)  # fmt: skip


def to_svg(figure: Figure, name: str, description: str) -> Markup:
    """``figure`` as SVG to put into HTML. ``name`` keeps its element ids apart from those of other figures."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href=", "href=")
    prefix = re.sub(r"\W", "-", name)
    # Markup characters in text are escaped by now, so a quote or a bracket here is the writer's own.
    text = re.sub(r'(\sid="|url\(#|\shref="#)', rf"\g<1>{prefix}-", text)
    for colour, variable in _VARIABLES.items():
        text = re.sub(rf"{colour}\b", f"var(--{variable}, {colour})", text)
    label = escape(clean(description), quote=True)
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip())
