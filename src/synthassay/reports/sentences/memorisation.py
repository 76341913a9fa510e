"""Who is flagged for copying, whether the detector can be trusted here, and where the data cannot tell."""

from collections.abc import Iterator

from synthassay.records import MetricResult
from synthassay.reports.layout import row_decimals
from synthassay.reports.numbers import interval, listing, number, plural
from synthassay.reports.select import VERDICT, Results, memorisation_headline
from synthassay.reports.sentences.grammar import Finding, finding, insufficient, name_of
from synthassay.reports.words import clean, why

_MUST_BE_FLAGGED = ("copycat", "blend")
_MUST_NOT_BE = ("oracle", "noise")


def memorisation_findings(results: Results) -> list[Finding]:
    """The verdict on each set under test, then on the controls, then what the detector can find."""
    verdicts = {row.generator: row for row in results.where(family="memorisation", metric=VERDICT)}
    judged = [name for name in results.tested if name in verdicts]
    found = [(_of_overfitted if n in results.overfitted else _verdict)(verdicts[n], results) for n in judged]
    found += _controls([verdicts[name] for name in results.controls if name in verdicts])
    return found + list(_power(results))


def _verdict(row: MetricResult, results: Results) -> Finding:
    name = name_of(row)
    if row.value is None or row.status != "ok":
        reason = why(row) or "the verdict is missing"
        for prefix in ("Insufficient evidence:", "Insufficient evidence for saying that there is no copying:"):
            reason = reason.removeprefix(prefix).strip()
        return insufficient(f"Whether {name} copies training patients cannot be said: {reason}")
    numbers = _rates(results, name)
    if row.value >= 1:
        return finding(f"{name} is flagged: it holds copies of training patients{numbers}", "alarm", "Copies found")
    return finding(f"No copies of training patients were found in {name}{numbers}", "fine", "None found")


def _of_overfitted(row: MetricResult, results: Results) -> Finding:
    """The verdict on a generator that was trained to memorise: it is the detector that is judged."""
    name = name_of(row)
    if row.value is None or row.status != "ok":
        return _verdict(row, results)
    numbers = _rates(results, name)
    if row.value >= 1:
        text = f"{name}, the positive control that was trained to memorise, is flagged as it has to be{numbers}"
        return finding(text, "fine", "Positive control")
    text = f"{name}, the positive control that was trained to memorise, is not flagged{numbers}: either its training "
    return finding(f"{text}was too short, or the detector is not to be trusted on this cohort", "alarm", "Ruler fails")


def _rates(results: Results, name: str) -> str:
    """The numbers behind a verdict: flagged images against control B, and patients affected."""
    encoder = memorisation_headline(results)
    row = results.one(family="memorisation", metric="copies_per_1000", generator=name, encoder=encoder, variant="",
                      group="all")  # fmt: skip
    if row is None or row.value is None:
        return ""
    decimals = row_decimals(row)
    text = f": {number(row.value, decimals)} in 1,000 images are flagged"
    if row.ci_low is not None:
        text += f" (95% interval {interval(row.ci_low, row.ci_high, decimals)})"
    if row.floor is not None:
        text += f", against {number(row.floor, decimals)} of real control images"
    affected = results.one(family="memorisation", metric="patients_affected", generator=name, encoder=encoder)
    if affected is not None and affected.value:
        text += f"; the flagged images are nearest to {plural(round(affected.value), 'training patient')}"
    return text


def _controls(rows: list[MetricResult]) -> list[Finding]:
    flagged = [f"the {name_of(row)}" for row in rows if row.value is not None and row.value >= 1]
    clear = [f"the {name_of(row)}" for row in rows if row.value is not None and row.value < 1]
    open_ = [row for row in rows if row.value is None]
    wrong = [row for row in rows if _contradicts(row)]
    found = [finding(_contradiction(row), "alarm", "Ruler fails") for row in wrong]
    if (flagged or clear) and not wrong:
        parts = [f"{listing(flagged)} {'is' if len(flagged) == 1 else 'are'} flagged"] if flagged else []
        parts += [f"{listing(clear)} {'is' if len(clear) == 1 else 'are'} not"] if clear else []
        text = listing(parts)
        found.append(finding(text[0].upper() + text[1:], "fine" if flagged and clear else "plain", "Rulers"))
    if open_:
        names = listing([f"the {name_of(row)}" for row in open_])
        found.append(insufficient(f"There is no verdict on {names}: {_first_reason(open_)}"))
    return found


def _first_reason(rows: list[MetricResult]) -> str:
    reasons = list(dict.fromkeys(why(row).removeprefix("Insufficient evidence:").strip() for row in rows))
    return (f"for {name_of(rows[0])}, " if len(reasons) > 1 else "") + (reasons[0] or "no reason was given")


def _contradicts(row: MetricResult) -> bool:
    if row.value is None:
        return False
    return (row.value >= 1 and row.generator in _MUST_NOT_BE) or (row.value < 1 and row.generator in _MUST_BE_FLAGGED)


def _contradiction(row: MetricResult) -> str:
    if row.generator in _MUST_NOT_BE:
        return f"The {name_of(row)} is flagged although it holds no copies: do not trust the detector on this cohort"
    return f"The {name_of(row)} is not flagged although it is made of copies: do not trust the detector on this cohort"


def _power(results: Results) -> Iterator[Finding]:
    """What the detector finds of planted copies, and how often it is wrong."""
    encoder = memorisation_headline(results)
    rows = results.where(family="memorisation", metric="copy_recall", encoder=encoder)
    recalls = {row.group.removeprefix("kind="): row for row in rows if row.value is not None}
    if not recalls:
        return
    parts = [f"{number(100 * (row.value or 0), 0)}% of {clean(kind)} ones" for kind, row in recalls.items()]
    alarms = results.one(family="memorisation", metric="false_alarm_rate", encoder=encoder)
    text = f"Of planted copies the detector finds {listing(parts)}"
    if alarms is not None and alarms.value is not None:
        text += f"; it flags {number(100 * alarms.value, 1)}% of the control images that it has not seen"
    settled = all(row.status == "ok" for row in recalls.values())
    yield finding(text, "plain", "Detector" if settled else "Descriptive")
