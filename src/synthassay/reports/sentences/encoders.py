"""Whether the sets rank alike under every encoder: two encoders may disagree, and then neither order is a fact."""

from collections.abc import Iterator
from itertools import combinations

from synthassay.records import MetricResult
from synthassay.reports.numbers import listing
from synthassay.reports.select import Results, has_interval
from synthassay.reports.sentences.grammar import Finding, finding, name_of
from synthassay.reports.words import clean, metric_name

BY = "kid"
Rows = dict[str, MetricResult]  # by set


def encoder_findings(results: Results) -> Iterator[Finding]:
    """The pairs that encoders put in opposite order, else what order they share; nothing with one encoder or set."""
    orders = {encoder: _rows(results, encoder) for encoder in results.encoders()}
    orders = {encoder: rows for encoder, rows in orders.items() if len(rows) > 1}
    if len(orders) < 2:
        return
    clashes = list(_clashes(orders))
    yield from (finding(text, "unclear", "Encoders disagree") for text in clashes)
    names = listing([clean(encoder) for encoder in orders])
    shared = [list(dict.fromkeys(_ordered(rows))) for rows in orders.values()]
    if not clashes and all(order == shared[0] for order in shared):
        order = ", ".join(clean(name) for name in shared[0])
        yield finding(f"By {metric_name(BY)} the order is the same under {names}: {order}", "plain", "Encoders agree")
    elif not clashes:
        parts = "; ".join(
            f"{clean(e)}: {', '.join(map(clean, order))}" for e, order in zip(orders, shared, strict=True)
        )
        yield finding(f"By {metric_name(BY)} the order of the sets depends on the encoder ({parts}), but no two sets "
                      "are separated one way by one encoder and the other way by another", "unclear",
                      "Order not settled")  # fmt: skip


def _rows(results: Results, encoder: str) -> Rows:
    rows = results.headline(metric=BY, encoder=encoder)
    return {row.generator: row for row in rows if row.generator in results.tested and row.value is not None}


def _ordered(rows: Rows) -> list[str]:
    return sorted(rows, key=lambda name: rows[name].value or 0.0)


def _clashes(orders: dict[str, Rows]) -> Iterator[str]:
    """One sentence for each pair of sets that two encoders separate in opposite directions."""
    for first, second in combinations(orders, 2):
        both = [name for name in orders[first] if name in orders[second]]
        for a, b in combinations(both, 2):
            for one, other in ((a, b), (b, a)):
                if _ahead(orders[first], one, other) and _ahead(orders[second], other, one):
                    names = name_of(orders[first][one]), name_of(orders[first][other])
                    yield (f"Encoders disagree on {names[0]} and {names[1]}: by {metric_name(BY)} {names[0]} is nearer "
                           f"to test patients under {clean(first)}, {names[1]} under {clean(second)}; do not rank them "
                           "by one encoder alone")  # fmt: skip


def _ahead(rows: Rows, one: str, other: str) -> bool:
    """Whether the intervals of two sets are apart, the first one's below."""
    a, b = rows[one], rows[other]
    if not (has_interval(a) and has_interval(b)):
        return False
    return (a.ci_high or 0.0) < (b.ci_low or 0.0)
