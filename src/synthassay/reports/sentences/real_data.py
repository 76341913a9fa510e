"""What a reader must know of the real scans: whether pixels give the place away, and how places differ."""

from collections.abc import Iterator

from synthassay.card import CardRow
from synthassay.reports.numbers import listing, number, plural
from synthassay.reports.real_data.view import CardView, apart, percent, quoted, value_of, valued
from synthassay.reports.sentences.grammar import Finding, finding, insufficient
from synthassay.reports.words import clean

_LARGE = 0.8  # standardised mean difference (Cohen 1988)


def real_data_findings(view: CardView) -> list[Finding]:
    """Shortcuts first, then how the places differ, then what is not known."""
    found = [finding for column in view.columns() for finding in _shortcut(view, column)]
    for column in _distinct(view):
        found += [*_prevalence(view, column), *_age(view, column), *_drift(view, column)]
    return found + list(_missing(view))


def _distinct(view: CardView) -> list[str]:
    """The columns that divide the images each in a way of its own."""
    return [column for column in view.columns() if view.where(topic="shortcut", quantity=column)]


def _shortcut(view: CardView, column: str) -> Iterator[Finding]:
    rows = view.where(topic="shortcut", quantity=column)
    if not rows:
        return
    told = valued(rows)
    if not told:
        yield insufficient(f"Whether the {column} can be told from pixels cannot be said: {clean(rows[-1].note)}")
        return
    row = next((r for r in told if r.group == "all"), told[0])
    chance = f"; shuffled {column}s reach up to {number(row.floor_ci_high, 2)}" if row.floor_ci_high is not None else ""
    between = (
        f"the {column}s “{value_of(row.group)}” and “{value_of(row.against)}”" if len(told) == 1 else f"the {column}"
    )
    few = "; few patients: descriptive" if row.status == "descriptive" else ""
    numbers = f"AUROC {quoted(row)}{chance}{few}"
    if row.ci_low is None or row.floor_ci_high is None or row.ci_low <= row.floor_ci_high:
        settled = row.ci_high is not None and row.floor_ci_high is not None and row.ci_high <= row.floor_ci_high
        yield finding(f"Pixels do not tell {between} beyond chance: {numbers}", "fine" if settled else "unclear")
        return
    gain = ("The label goes with it, so a classifier gains by recognising the place" if _label_goes_with(view, column)
            else "Whatever goes with it can be learnt in its stead")  # fmt: skip
    yield finding(f"Pixels tell {between} of patients never seen: {numbers}. {gain}", "alarm", "Shortcut possible")


def _by_place(view: CardView, column: str, **wanted: str) -> list[CardRow]:
    rows = [view.one(group=group, **wanted) for group in view.groups(column)]
    return sorted(valued(row for row in rows if row is not None), key=lambda row: row.value or 0.0)


def _label_goes_with(view: CardView, column: str) -> bool:
    rows = _by_place(view, column, topic="prevalence", quantity=view.positive, statistic=view.prevalence_statistic())
    return len(rows) > 1 and apart(rows[0], rows[-1])


def _prevalence(view: CardView, column: str) -> Iterator[Finding]:
    statistic = view.prevalence_statistic()
    rows = _by_place(view, column, topic="prevalence", quantity=view.positive, statistic=statistic)
    if len(rows) < 2:
        return
    low, high = rows[0], rows[-1]
    text = (f"“{clean(view.positive)}” is found in {percent(low)} of {statistic.removeprefix('share of ')} at "
            f"“{value_of(low.group)}” and in {percent(high)} at “{value_of(high.group)}”")  # fmt: skip
    yield _compared(text, low, high)


def _compared(text: str, low: CardRow, high: CardRow) -> Finding:
    if apart(low, high):
        return finding(f"{text}; their 95% intervals are apart", "plain", "Places differ")
    return finding(f"{text}; their 95% intervals meet", "plain", "Not separated")


def _age(view: CardView, column: str) -> Iterator[Finding]:
    rows = _by_place(view, column, topic="people", quantity="age", statistic="mean")
    if len(rows) > 1:
        low, high = rows[0], rows[-1]
        text = (f"Mean age is {number(low.value, 1)} years at “{value_of(low.group)}” and {number(high.value, 1)} at "
                f"“{value_of(high.group)}”")  # fmt: skip
        yield _compared(text, low, high)


def _drift(view: CardView, column: str) -> Iterator[Finding]:
    rows = [row for row in valued(view.where(topic="drift", statistic="smd")) if row.group.startswith(f"{column}=")]
    if not rows:
        return
    largest = max(rows, key=lambda row: abs(row.value or 0.0))
    beyond = sum(1 for row in rows if row.ci_low is not None and row.ci_high is not None
                 and (row.ci_low > 0 or row.ci_high < 0))  # fmt: skip
    against = "the others" if largest.against == "others" else f"“{value_of(largest.against)}”"
    few = ", of few patients: descriptive" if largest.status == "descriptive" else ""
    how = "A large" if abs(largest.value or 0.0) >= _LARGE else "The largest"
    text = (f"{how} shift between {column}s is that of {largest.quantity} at “{value_of(largest.group)}” against "
            f"{against}: {quoted(largest)} standard deviations{few}. In {beyond} of {plural(len(rows), 'comparison')} "
            "the interval excludes no shift; by chance one in twenty would")  # fmt: skip
    yield finding(text, "plain", "Drift")


def _missing(view: CardView) -> Iterator[Finding]:
    rows = [row for row in valued(view.where(topic="missing", group="all")) if row.value]
    never = [row.quantity for row in rows if row.value == 1]
    partly = [f"{row.quantity} of {percent(row)}" for row in rows if row.value is not None and row.value < 1]
    parts = [f"nowhere known: {listing(never)}"] if never else []
    if partly:
        parts.append(f"unknown for some images: {listing(partly)}")
    if parts:
        text = "; ".join(parts)
        yield finding(text[0].upper() + text[1:], "plain", "Missing")
