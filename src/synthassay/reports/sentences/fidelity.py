"""How far each set is from new patients, and whether the rulers of the page hold."""

from collections.abc import Iterator, Sequence
from typing import Literal

from synthassay.records import MetricResult
from synthassay.reports.numbers import listing, number, times
from synthassay.reports.select import Results, has_interval
from synthassay.reports.sentences.encoders import encoder_findings
from synthassay.reports.sentences.grammar import Finding, caveat, finding, insufficient, name_of, quote, sentence
from synthassay.reports.words import clean, metric_name, why

_HEADLINE = "kid"
_DISTANCES = ("kid", "fid", "frechet_distance")
_RULED = ("kid", "fid", "frechet_distance", "precision", "recall", "density", "coverage")
_UNKNOWN_TEST = "not known whether test patients were trained on"  # in the note of such a set's results
Side = Literal["above", "below", "level", "unknown"]


def fidelity_findings(results: Results) -> list[Finding]:
    """Distance, precision and recall of each set under test, closeness to train, the rulers, other encoders."""
    found: list[Finding] = []
    encoders = results.encoders()
    for place, encoder in enumerate(encoders):
        suffix = f" (encoder {clean(encoder)})" if len(encoders) > 1 else ""
        for name in results.tested if place == 0 else ():
            rows = {row.metric: row for row in results.headline(generator=name, encoder=encoder)}
            if _HEADLINE in rows:
                found.append(_distance(rows[_HEADLINE], suffix, _variety(rows)))
        others = [*_closer_to_train(results, encoder, suffix), *_noise_is_worst(results, encoder, suffix)]
        # A second opinion is heard where it raises an alarm; its other numbers are in the figures and tables.
        found += [item for item in others if place == 0 or item.level == "alarm"]
        found += _blend_beats_oracle(results, encoder, suffix) if place == 0 else []
    return [*found, *encoder_findings(results), *_may_be_flattered(results)]


def side_of_floor(row: MetricResult) -> Side:
    """Where a value lies against its floor: apart only when the two intervals do not meet."""
    if row.value is None or row.floor is None or row.ci_low is None or row.ci_high is None:
        return "unknown"
    low = row.floor if row.floor_ci_low is None else row.floor_ci_low
    high = row.floor if row.floor_ci_high is None else row.floor_ci_high
    if row.ci_low > high:
        return "above"
    return "below" if row.ci_high < low else "level"


def _distance(row: MetricResult, suffix: str, variety: str) -> Finding:
    name, metric = name_of(row), metric_name(row.metric)
    if row.value is None:
        return insufficient(f"{metric} of {name} is absent{suffix}: {why(row) or 'no reason was given'}")
    numbers, side = f"({quote(row)}){suffix}", side_of_floor(row)
    if row.status == "insufficient evidence" or side == "unknown":
        reason = caveat(row) or ": there is no floor or no interval to judge it by"
        return insufficient(f"How far {name} images are from test patients is not settled {numbers}{reason}")
    if side == "level":
        text = f"{name} images cannot be told from real control patients by their distance to test patients {numbers}"
    elif side == "below":
        text = f"{name} images are closer to test patients than real control patients are {numbers}"
    else:
        text = f"{name} images are {_ratio(row)}further from test patients than real control patients are {numbers}"
    text = f"{sentence(text + caveat(row))} {variety}".strip()
    return finding(text, "unclear", "Descriptive") if row.status == "descriptive" else finding(text, "plain")


def _ratio(row: MetricResult) -> str:
    """``"3.1 times "``, or nothing where the floor is not clearly above zero, so that a ratio would mean little."""
    low = row.floor if row.floor_ci_low is None else row.floor_ci_low
    if row.value is None or row.floor is None or low is None or low <= 0:
        return ""
    return f"{times(row.value / row.floor)} "


def _variety(rows: dict[str, MetricResult]) -> str:
    """Precision and recall as a sentence; empty without both."""
    precision, recall = rows.get("precision"), rows.get("recall")
    if precision is None or recall is None or precision.value is None or recall.value is None:
        return ""
    text = f"Precision is {number(precision.value, 2)} and recall {number(recall.value, 2)}"
    if precision.floor is not None and recall.floor is not None:
        text += f", where real control patients reach {number(precision.floor, 2)} and {number(recall.floor, 2)}"
    short = [what for what, row in (("realism", precision), ("variety", recall)) if _falls_short(row)]
    return sentence(text + (f": {listing(short)} {'is' if len(short) == 1 else 'are'} missing" if short else ""))


def _falls_short(row: MetricResult) -> bool:
    return row.status == "ok" and side_of_floor(row) == "below"


def _may_be_flattered(results: Results) -> Iterator[Finding]:
    """The sets that may have been trained on test patients, together."""
    noted = {row.generator for row in results.headline() if _UNKNOWN_TEST in row.note}
    names = [clean(name) for name in results.tested if name in noted]
    if names:
        those, its = ("they were", "their") if len(names) > 1 else ("it was", "its")
        yield finding(f"{listing(names)}: whether test patients were among those {those} trained on is not known, so "
                      f"{its} fidelity may be flattered", "unclear")  # fmt: skip


def _closer_to_train(results: Results, encoder: str, suffix: str) -> Iterator[Finding]:
    """Sets that are closer to train one by one, those that show no sign of it together."""
    rows = results.where(family="fidelity", metric="closer_to_train", encoder=encoder, group="all")
    rows = [row for row in rows if row.generator in results.tested]
    quiet: dict[str, list[MetricResult]] = {}
    for row in rows:
        name = name_of(row)
        if row.status == "insufficient evidence" or not has_interval(row):
            yield insufficient(f"Whether {name} is closer to its training patients than new patients are cannot be said"
                               f"{suffix}: {why(row) or 'there is no interval'}")  # fmt: skip
        elif row.ci_low is not None and row.ci_low > 0:
            text = f"{name} is closer to its training patients than new patients are (contrast {_amount(row)}){suffix}"
            certain = row.status == "ok"
            yield finding(text + caveat(row), "alarm" if certain else "unclear", "Closer" if certain else "Descriptive")
        else:
            quiet.setdefault(caveat(row), []).append(row)
    for note, same in quiet.items():
        names = listing([name_of(row) for row in same], "or")
        amounts = "; ".join(f"{name_of(row)} {_amount(row)}" for row in same)
        text = (
            f"No sign that {names} is closer to its training patients than new patients are ({amounts}){suffix}{note}"
        )
        yield finding(text, "unclear", "Descriptive") if note else finding(text, "fine", "No sign")


def _amount(row: MetricResult) -> str:
    """The numbers of a contrast, without its long name."""
    return quote(row).removeprefix(metric_name(row.metric)).strip()


def _blend_beats_oracle(results: Results, encoder: str, suffix: str) -> Iterator[Finding]:
    parts = []
    for metric in _DISTANCES:
        rows = {row.generator: row.value for row in results.headline(encoder=encoder, metric=metric)}
        blend, oracle = rows.get("blend"), rows.get("oracle")
        if blend is not None and oracle is not None and blend < oracle:
            parts.append(f"{metric_name(metric)} ({number(blend)} against {number(oracle)})")
    if parts:
        yield finding(f"The blend, averages of training images, has a smaller {listing(parts)} than real control "
                      f"patients have{suffix}: a small distance alone does not rule out copying", "plain",
                      "Ruler")  # fmt: skip


def _noise_is_worst(results: Results, encoder: str, suffix: str) -> Iterator[Finding]:
    if "noise" not in results.controls:
        return
    judged, beaten = [], []
    for metric in _RULED:
        values = _signed_values(results.headline(encoder=encoder, metric=metric))
        if "noise" in values and len(values) > 1:
            judged.append(metric)
            beaten += [metric_name(metric)] if values["noise"] > min(values.values()) else []
    if beaten:
        it = "it" if len(beaten) == 1 else "them"
        text = f"Noise does not score worst on {listing(beaten)}{suffix}: do not rank sets by {it}"
        yield finding(text, "alarm", "Ruler fails")
    elif judged:
        text = f"Noise scores worst on all {len(judged)} metrics of realism and variety, as it must{suffix}"
        yield finding(text, "fine", "Ruler holds")


def _signed_values(rows: Sequence[MetricResult]) -> dict[str, float]:
    """Values by set, turned so that more is better."""
    return {
        row.generator: row.value if row.higher_is_better else -row.value
        for row in rows
        if row.value is not None and row.higher_is_better is not None
    }
