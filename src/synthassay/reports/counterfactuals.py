"""Counterfactuals: strips of pictures, and the table of how far they change."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synthassay.reports.data import ReportData, Strip
from synthassay.reports.images import png_uri
from synthassay.reports.layout import Cell, Head, Row, Table
from synthassay.reports.numbers import ABSENT, interval, number
from synthassay.reports.samples import pixel_kind
from synthassay.reports.words import clean, short

GAINS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # by which differences are made brighter
BRIGHT = 99.0  # percentile of the differences that is not yet white
NOTHING_ELSE = "nothing else is given"


@dataclass(frozen=True, slots=True)
class StripCell:
    """A picture and its difference from the reference, None for the reference itself."""

    picture: str
    difference: str | None
    unseen: bool
    alt: str


@dataclass(frozen=True, slots=True)
class StripRow:
    """One seed."""

    title: str
    cells: Sequence[StripCell]


@dataclass(frozen=True, slots=True)
class StripFigure:
    """One condition of one generator."""

    title: str
    detail: str
    heads: Sequence[tuple[str, str]]  # value, and what it is
    rows: Sequence[StripRow]
    gain: int
    kind: str


@dataclass(frozen=True, slots=True)
class Counterfactuals:
    """The section. ``strips`` is empty on a released page."""

    table: Table
    strips: Sequence[StripFigure]
    has_unseen: bool


def counterfactuals(data: ReportData) -> Counterfactuals | None:
    """The section, or None where no generator was asked."""
    if not data.strips:
        return None
    shown = [_figure(strip) for strip in data.strips if strip.images.size]
    return Counterfactuals(_table(data.strips), shown, any(strip.unseen.any() for strip in data.strips))


def _table(strips: Sequence[Strip]) -> Table:
    heads = [Head("Generator"), Head("Changed"), Head("Condition changed", True), Head("Seed changed", True),
             Head("Condition ÷ seed", True), Head("Seeds", True)]  # fmt: skip
    return Table(heads, [Row([Cell(short(s.generator)), Cell(_named(s.column)), Cell(_percent(s.change)),
                              Cell(_percent(s.other)), _share(s), Cell(str(s.seeds))]) for s in strips])  # fmt: skip


def _share(strip: Strip) -> Cell:
    if strip.share is None:
        return Cell(ABSENT, "the generator draws the same image for every seed")
    decimals = 3 if strip.share < 0.095 else 2
    return Cell(number(strip.share, decimals), "", interval(strip.ci_low, strip.ci_high, decimals))


def _percent(share: float) -> str:
    return f"{number(100 * share, 2 if share < 0.00995 else 1)}%"


def _named(column: str) -> str:
    return clean(column.replace("_", " "))


def _figure(strip: Strip) -> StripFigure:
    apart = _differences(strip)
    gain = _gain(apart)
    heads = [(short(v), "reference" if k == strip.reference else "") for k, v in enumerate(strip.values)]
    rows = [StripRow(short(other, 60) or NOTHING_ELSE, [_cell(strip, s, v, apart, gain) for v in range(len(heads))])
            for s, other in enumerate(strip.others)]  # fmt: skip
    more = f"; {strip.left_out} rarer values left out" if strip.left_out else ""
    title = f"{short(strip.generator)}: {_named(strip.column)} changed"
    return StripFigure(title, f"differences {gain} times as bright{more}", heads, rows, gain,
                       pixel_kind(strip.images.shape[3]))  # fmt: skip


def _cell(strip: Strip, s: int, v: int, apart: NDArray[np.float64], gain: int) -> StripCell:
    bright = np.rint(np.clip(gain * apart[s, v], 0, 255)).astype(np.uint8)
    alt = f"{strip.generator}, seed {s + 1}, {strip.column} {strip.values[v]}"
    difference = None if v == strip.reference else png_uri(bright[None])
    return StripCell(png_uri(strip.images[s, v]), difference, bool(strip.unseen[s, v]), clean(alt))


def _differences(strip: Strip) -> NDArray[np.float64]:
    """``[s, v, h, w]``: absolute difference from the reference, the mean over channels, in grey levels."""
    images = strip.images.astype(np.float64)
    return np.asarray(np.abs(images - images[:, strip.reference, None]).mean(axis=2), np.float64)


def _gain(apart: NDArray[np.float64]) -> int:
    """One gain for all differences of a strip, so that they can be compared."""
    changed = apart[apart > 0]
    high = float(np.percentile(changed, BRIGHT)) if len(changed) else 255.0
    return max((gain for gain in GAINS if gain * high <= 255), default=1)
