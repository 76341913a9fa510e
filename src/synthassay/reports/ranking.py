"""Ranking across runs: only values of one identity, and no rank that the intervals do not support."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from synthassay.records import MetricResult, Status, identity_differences
from synthassay.reports.runs import Run
from synthassay.reports.select import FIDELITY_ORDER, HEADLINE_REFERENCE, HEADLINE_VARIANT
from synthassay.reports.tables import FAMILIES
from synthassay.reports.words import arm_name, clean, metric_name

_ABOUT_THE_DETECTOR = ("copy_recall", "false_alarm_rate", "memorisation_verdict")
_WORST_FIRST: tuple[Status, ...] = ("absent", "insufficient evidence", "descriptive", "ok")


class Question(NamedTuple):
    """What one table ranks by."""

    family: str
    metric: str
    encoder: str
    variant: str
    reference: str

    @property
    def is_headline(self) -> bool:
        """Whether a refusal of this table stops the comparison."""
        if self.family == "fidelity":
            return self.variant == HEADLINE_VARIANT and self.reference == HEADLINE_REFERENCE
        if self.family == "memorisation":
            return self.metric == "copies_per_1000" and self.variant == ""
        return self.metric == "auroc" and self.reference == HEADLINE_REFERENCE

    @property
    def title(self) -> str:
        """``"KID · patient-aware, against test, efficientnet-lite0"``."""
        variant = arm_name(self.variant) if self.family == "downstream" else clean(self.variant)
        against = f"on {clean(self.reference)}" if self.family == "downstream" else f"against {clean(self.reference)}"
        details = [variant, against, clean(self.encoder)]
        return f"{metric_name(self.metric)} · {', '.join(filter(None, details))}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One value of one run."""

    run: Run
    row: MetricResult

    @property
    def seed(self) -> int:
        """The seed that the value depends on."""
        return self.run.seed if self.row.seed is None else self.row.seed


@dataclass(frozen=True, slots=True)
class Entry:
    """A set with one choice of settings over all its seeds; ``row`` holds the mean and the hull of the intervals."""

    label: str
    row: MetricResult
    sightings: tuple[Sighting, ...]

    @property
    def spread(self) -> tuple[float, float] | None:
        """Lowest and highest value over seeds; None for a single one."""
        values = [s.row.value for s in self.sightings if s.row.value is not None]
        return (min(values), max(values)) if len(values) > 1 else None


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry and the ranks that its interval leaves open; ``tied`` are the entries it is not separated from."""

    entry: Entry
    best: int
    worst: int
    tied: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """The answer to one question: entries from best to worst, and the controls as unranked rulers."""

    question: Question
    placed: tuple[Placed, ...]
    rulers: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A question whose values must not be ranked: ``differences`` are (part, value in ``first``, in ``second``)."""

    question: Question
    first: str
    second: str
    differences: tuple[tuple[str, str, str], ...]


def boards(runs: Sequence[Run]) -> tuple[list[Board], list[Refusal]]:
    """A board, or the reason why there is none, for every question that some set under test has a value for."""
    made: list[Board] = []
    refused: list[Refusal] = []
    for question, sightings in _by_question(runs).items():
        tested = [s for s in sightings if s.run.origins.get(s.row.generator) in ("generator", "external")]
        if not tested:
            continue
        refusal = _refusal(question, tested)
        if refusal is not None:
            refused.append(refusal)
            continue
        comparable = [s for s in sightings if s.row.identity == tested[0].row.identity]
        rulers = _entries([s for s in comparable if s.run.origins.get(s.row.generator) == "control"])
        made.append(Board(question, tuple(place(_entries(tested))), tuple(rulers)))
    return made, refused


def _by_question(runs: Sequence[Run]) -> dict[Question, list[Sighting]]:
    found: dict[Question, list[Sighting]] = {}
    for run in runs:
        for row in run.results:
            ranked = row.higher_is_better is not None and row.metric not in _ABOUT_THE_DETECTOR
            if row.group == "all" and row.value is not None and ranked:
                question = Question(row.family, row.metric, row.encoder, row.variant, row.reference)
                found.setdefault(question, []).append(Sighting(run, row))
    return dict(sorted(found.items(), key=lambda item: _page_place(item[0])))


def _page_place(question: Question) -> tuple[object, ...]:
    known = FIDELITY_ORDER.index(question.metric) if question.metric in FIDELITY_ORDER else len(FIDELITY_ORDER)
    return (not question.is_headline, FAMILIES.index(question.family), known, *question)


def _refusal(question: Question, sightings: Sequence[Sighting]) -> Refusal | None:
    first = sightings[0]
    for other in sightings[1:]:
        differences = identity_differences(first.row.identity, other.row.identity)
        if differences:
            return Refusal(question, _source(first), _source(other), tuple(differences))
    return None


def _source(sighting: Sighting) -> str:
    return f"{clean(sighting.row.generator)} of {clean(sighting.run.name)}"


def _entries(sightings: Sequence[Sighting]) -> list[Entry]:
    """One entry per set and settings; a set that ran with several settings has the digest in its label."""
    grouped: dict[tuple[str, str], list[Sighting]] = {}
    for s in sightings:
        grouped.setdefault((s.row.generator, s.run.settings.get(s.row.generator, "")), []).append(s)
    settings: dict[str, int] = {}
    for name, _ in grouped:
        settings[name] = settings.get(name, 0) + 1
    return [
        Entry(f"{name} ({digest[:6]})" if settings[name] > 1 else name, _mean(_distinct(rows)), tuple(_distinct(rows)))
        for (name, digest), rows in grouped.items()
    ]


def _distinct(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Seeds in order; a run that was given twice, or two that only differ elsewhere, count once per seed and value."""
    unique = {(s.seed, s.row.value): s for s in reversed(sightings)}
    return [unique[key] for key in sorted(unique, key=lambda key: (key[0], key[1] or 0.0))]


def _mean(sightings: Sequence[Sighting]) -> MetricResult:
    rows = [s.row for s in sightings]
    values = [row.value for row in rows if row.value is not None]
    lows, highs = [row.ci_low for row in rows], [row.ci_high for row in rows]
    floors = [row.floor for row in rows if row.floor is not None]
    bare = None in lows or None in highs
    return replace(
        rows[0], value=sum(values) / len(values), ci_low=None if bare else min(v for v in lows if v is not None),
        ci_high=None if bare else max(v for v in highs if v is not None),
        floor=sum(floors) / len(floors) if floors else None,
        status=min((row.status for row in rows), key=_WORST_FIRST.index),
    )  # fmt: skip


def place(entries: Sequence[Entry]) -> Iterator[Placed]:
    """Entries from best to worst with their possible ranks.

    Two entries are separated only when their intervals do not meet and both have status "ok".
    """
    ranked = sorted(entries, key=_quality, reverse=True)
    for entry in ranked:
        above = [other for other in ranked if _beats(other, entry)]
        below = [other for other in ranked if _beats(entry, other)]
        tied = [other.label for other in ranked if other is not entry and other not in above and other not in below]
        yield Placed(entry, 1 + len(above), len(ranked) - len(below), tuple(tied))


def _quality(entry: Entry) -> float:
    value = entry.row.value or 0.0
    return value if entry.row.higher_is_better else -value


def _beats(a: Entry, b: Entry) -> bool:
    if a.row.status != "ok" or b.row.status != "ok":
        return False
    ends = (a.row.ci_low, a.row.ci_high, b.row.ci_low, b.row.ci_high)
    if None in ends:
        return False
    a_low, a_high, b_low, b_high = (end or 0.0 for end in ends)
    return a_low > b_high if a.row.higher_is_better else a_high < b_low
