"""What of the data card may leave the organisation: the rules of :mod:`synthassay.reports.release`, cell by cell."""

from collections.abc import Sequence
from dataclasses import replace

from synthassay.card import QUANTILES, CardRow, DataCard
from synthassay.reports.suppression import WITHHELD, few, suppressed

Place = tuple[str, str]  # topic and group


def published_card(card: DataCard) -> DataCard:
    """``card`` without groups of few patients, without shares that few patients have or lack, and without quantiles
    that few patients lie beyond; nor the next smallest groups that would give these away."""
    hidden, cells = _small_groups(card.rows), _small_cells(card.rows)

    def may_go(row: CardRow) -> bool:
        given_away = row.cell is not None and (row.topic, row.group) in cells
        return not ({row.group, row.against} & hidden or given_away or _is_small(row))

    rows = [_without_known(row) if may_go(row) else _withheld(row) for row in card.rows]
    kept = [histogram for histogram in card.histograms if histogram.group not in hidden]
    return replace(card, rows=rows, histograms=kept)


def _small_groups(rows: Sequence[CardRow]) -> set[str]:
    """Groups of few patients and those hidden with them, column by column."""
    sizes: dict[str, dict[str, int]] = {}
    for row in rows:
        if row.topic == "missing" and "=" in row.group:  # it counts every patient of the group
            sizes.setdefault(row.group.partition("=")[0], {})[row.group] = row.n_patients
    return {
        group for members in sizes.values()
        for group in suppressed(members, [group for group, size in members.items() if few(size)])
    }  # fmt: skip


def _small_cells(rows: Sequence[CardRow]) -> set[Place]:
    """(topic, group) where some share is of few patients, or of all but few; a whole topic where the total is."""
    hidden: set[Place] = set()
    for topic in {row.topic for row in rows if row.cell is not None}:
        mine = [row for row in rows if row.topic == topic and row.cell is not None]
        small = {row.group for row in mine if few(row.cell) or few(row.n_patients - (row.cell or 0))}
        if "all" in small:
            hidden |= {(topic, row.group) for row in mine}
            continue
        for column in {group.partition("=")[0] for group in small}:
            here = [row for row in mine if row.group.startswith(f"{column}=")]
            sizes = {row.group: 0 for row in here}
            for row in here:
                sizes[row.group] = max(sizes[row.group], min(row.cell or 0, row.n_patients - (row.cell or 0)))
            inside = {group for group in small if group in sizes}
            hidden |= {(topic, group) for group in suppressed(sizes, inside)}
    return hidden


def _is_small(row: CardRow) -> bool:
    """Whether few patients are behind a row, or beyond a quantile, which then tells their values."""
    level = QUANTILES.get(row.statistic, 0.5)
    beyond = row.n_patients if level == 0.5 else int(min(level, 1 - level) * row.n_patients) or 1
    return few(row.n_patients) or few(beyond)


def _without_known(row: CardRow) -> CardRow:
    """Without the number of patients of whom something is known: from all of them follows of how many it is not."""
    return replace(row, n_images=0, n_patients=0) if row.topic in ("people", "spacing", "drift") else row


def _withheld(row: CardRow) -> CardRow:
    return replace(
        row, value=None, ci_low=None, ci_high=None, floor=None, floor_ci_low=None, floor_ci_high=None, n_images=0,
        n_patients=0, cell=None, status="absent", note=WITHHELD,
    )  # fmt: skip
