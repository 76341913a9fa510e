"""Looking up rows of a data card."""

from collections import defaultdict
from collections.abc import Iterable

from synthassay.card import CardRow, DataCard
from synthassay.reports.numbers import decimals_for, interval, number
from synthassay.reports.words import clean

COLUMNS = ("site", "device")
PATIENTS, IMAGES = "share of patients", "share of images"


class CardView:
    """A card and the class that the page is about."""

    def __init__(self, card: DataCard, positive: str) -> None:
        self.card, self.positive = card, positive
        # Hundreds of places have tens of thousands of rows, and are looked up one by one.
        self._rows: dict[tuple[str, str], list[CardRow]] = defaultdict(list)  # of a topic, and of a topic and group
        for row in card.rows:
            self._rows[row.topic, ""].append(row)
            self._rows[row.topic, row.group].append(row)

    def where(self, *, topic: str, group: str = "", **wanted: str) -> list[CardRow]:
        """The rows of a topic, of one group or of all, whose other fields equal ``wanted``."""
        rows = self._rows.get((topic, group), [])
        return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]

    def one(self, *, topic: str, **wanted: str) -> CardRow | None:
        """The first of them."""
        return next(iter(self.where(topic=topic, **wanted)), None)

    def columns(self) -> list[str]:
        """The columns with groups, site first."""
        named = {column_of(row.group) for row in self.card.rows}
        return [column for column in COLUMNS if column in named]

    def groups(self, column: str) -> list[str]:
        """The groups of a column, most patients first."""
        sizes: dict[str, int] = {}
        for row in self.card.rows:
            if column_of(row.group) == column and row.topic in ("missing", "intensity"):
                sizes[row.group] = max(sizes.get(row.group, 0), row.n_patients)
        return sorted(sizes, key=lambda group: (-sizes[group], group))

    def quantities(self, topic: str) -> list[str]:
        """What the rows of a topic are about, in their order."""
        return list(dict.fromkeys(row.quantity for row in self.where(topic=topic)))

    def prevalence_statistic(self) -> str:
        """Shares are of patients, or of images where every patient has some positive image."""
        row = self.one(topic="prevalence", quantity=self.positive, statistic=PATIENTS, group="all")
        return IMAGES if row is not None and row.value == 1 else PATIENTS


def column_of(group: str) -> str:
    """``"site"`` of ``"site=A"``."""
    return group.partition("=")[0] if "=" in group else ""


def value_of(group: str) -> str:
    """``"A"`` of ``"site=A"``, made safe to lay out."""
    return clean(group.partition("=")[2] or group)


def valued(rows: Iterable[CardRow]) -> list[CardRow]:
    """Those with a number."""
    return [row for row in rows if row.value is not None]


def percent(row: CardRow) -> str:
    """A share as ``"27.0%"``, with as many decimals as its interval asks for; without one ``"27%"`` or ``"0.4%"``."""
    share = 100 * (row.value or 0.0)
    if row.ci_low is not None and row.ci_high is not None:
        return f"{number(share, decimals_for(share, 100 * row.ci_low, 100 * row.ci_high))}%"
    return f"{number(share, 1 if 0 < share < 10 or 99 < share < 100 else 0)}%"


def quoted(row: CardRow) -> str:
    """``"0.87 (95% interval 0.80 to 0.93)"``."""
    if row.value is None:
        return ""
    decimals = decimals_for(row.value, row.ci_low, row.ci_high)
    span = f" (95% interval {interval(row.ci_low, row.ci_high, decimals)})" if row.ci_low is not None else ""
    return f"{number(row.value, decimals)}{span}"


def apart(one: CardRow, other: CardRow) -> bool:
    """Whether two intervals do not meet."""
    if one.ci_low is None or one.ci_high is None or other.ci_low is None or other.ci_high is None:
        return False
    return one.ci_high < other.ci_low or other.ci_high < one.ci_low
