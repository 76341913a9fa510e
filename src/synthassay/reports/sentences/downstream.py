"""What a classifier loses or gains by training on generated images."""

from collections.abc import Iterator, Sequence
from typing import Literal

from synthassay.records import MetricResult
from synthassay.reports.layout import row_decimals
from synthassay.reports.numbers import interval, listing, number
from synthassay.reports.select import Results, downstream_places, has_interval
from synthassay.reports.sentences.grammar import Finding, caveat, finding, insufficient, name_of, quote
from synthassay.reports.words import metric_name, why

_METRIC = "auroc"
_ARMS = {"synthetic - real": "on {names} alone", "both - real-long": "on real images and {names}"}
_AGAINST = {"synthetic - real": "training on real images", "both - real-long": "longer training on real images alone"}
Outcome = Literal["gain", "loss", "level", "open"]


def downstream_findings(results: Results, external: str) -> list[Finding]:
    """Per arm and test split, sets with one answer together; then the baseline of metadata.

    ``external`` names what was kept out, for example ``"site Ashby"``.
    """
    found: list[Finding] = []
    for variant in _ARMS:
        for reference in downstream_places(results):
            rows = results.where(family="downstream", metric=f"{_METRIC}_difference", variant=variant, group="all",
                                 reference=reference)  # fmt: skip
            rows = sorted(
                (r for r in rows if r.generator in results.tested), key=lambda r: results.tested.index(r.generator)
            )
            found += _of_arm(rows, _where(reference, external))
    return [*found, *_absent_sets(results), *_baseline(results)]


def _where(reference: str, external: str) -> str:
    return f"at the external {external}" if reference == "external" else "on test patients of the seen sites"


def outcome(row: MetricResult) -> Outcome:
    """What a difference says: a gain or a loss only when its interval leaves out 0."""
    if row.value is None or row.status == "insufficient evidence" or row.ci_low is None or row.ci_high is None:
        return "open"
    if row.ci_low > 0:
        return "gain"
    return "loss" if row.ci_high < 0 else "level"


def _of_arm(rows: Sequence[MetricResult], where: str) -> Iterator[Finding]:
    together: dict[tuple[Outcome, str], list[MetricResult]] = {}
    for row in rows:
        kind = outcome(row)
        shared = (why(row) if row.value is None else row.generator) if kind == "open" else caveat(row)
        key = (kind, shared if kind in ("open", "level") else f"{shared} {row.generator}")
        together.setdefault(key, []).append(row)
    for (kind, _), same in together.items():
        yield _open(same, where) if kind == "open" else _settled(same, kind, where)


def _open(rows: Sequence[MetricResult], where: str) -> Finding:
    how = _ARMS[rows[0].variant].format(names=listing([name_of(row) for row in rows], "or"))
    if rows[0].value is None:
        return insufficient(f"Training {how} {where} could not be judged: {why(rows[0]) or 'no reason was given'}")
    reason = caveat(rows[0]) or ": there is no interval"
    return insufficient(f"What training {how} changes {where} is not settled ({_numbers(rows)}){reason}")


def _settled(rows: Sequence[MetricResult], kind: Outcome, where: str) -> Finding:
    first = rows[0]
    how = _ARMS[first.variant].format(names=listing([name_of(row) for row in rows], "or"))
    against = _AGAINST[first.variant]
    if kind == "level":
        text = f"A classifier trained {how} is not separated {where} from {against} ({_numbers(rows)})"
    else:
        verb, size = ("gains" if kind == "gain" else "loses"), number(abs(first.value or 0), row_decimals(first))
        text = f"A classifier trained {how} {verb} {size} {metric_name(_METRIC)} {where} against {against}"
        text += f" ({_numbers(rows)})"
    if first.status == "descriptive":
        return finding(text + caveat(first), "unclear", "Descriptive")
    if kind == "level":
        return finding(text, "plain", "Not separated")
    return finding(text, "fine", "Gain") if kind == "gain" else finding(text, "alarm", "Loss")


def _numbers(rows: Sequence[MetricResult]) -> str:
    parts = []
    for row in rows:
        decimals = row_decimals(row)
        text = f"{name_of(row) if len(rows) > 1 else 'difference'} {number(row.value, decimals)}"
        parts.append(
            text + (f", 95% interval {interval(row.ci_low, row.ci_high, decimals)}" if has_interval(row) else "")
        )
    return "; ".join(parts)


def _absent_sets(results: Results) -> Iterator[Finding]:
    """Sets for which no difference was computed at all say so, and why."""
    for name in results.tested:
        rows = results.where(family="downstream", generator=name)
        reasons = list(dict.fromkeys(why(row) for row in rows if row.status in ("absent", "insufficient evidence")))
        if rows and reasons and not any(row.metric.endswith("_difference") for row in rows):
            yield insufficient(f"Classifiers trained on {name_of(rows[0])} could not be compared with real training: "
                               f"{reasons[0] or 'no reason was given'}")  # fmt: skip


def _baseline(results: Results) -> Iterator[Finding]:
    """A label that metadata gives away makes every classifier look good: say how much it does."""
    for reference in downstream_places(results):
        chosen = {"family": "downstream", "metric": _METRIC, "reference": reference, "group": "all"}
        metadata, real = results.one(variant="metadata", **chosen), results.one(variant="real", **chosen)
        if metadata is None or metadata.value is None:
            continue
        where = "external" if reference == "external" else "test"
        text = f"Without seeing an image, a baseline of metadata reaches {quote(metadata)} on {where} patients"
        if real is not None and real.value is not None:
            text += f"; training on real images reaches {number(real.value, row_decimals(metadata))}"
        yield finding(text + caveat(metadata), "plain", "Baseline")
