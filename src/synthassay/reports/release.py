"""What may leave the organisation: aggregates, and those only over enough patients.

Cells of few patients are withheld, and so are further cells that would give these away when taken from a total
(Hundepool et al., Statistical Disclosure Control, 2012, chapter 4: primary and secondary suppression).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from synthassay.records import CohortTable, MetricResult
from synthassay.reports.data import CohortCount, LossCurve, ReportData, SetSummary, Strip
from synthassay.reports.release_card import published_card
from synthassay.reports.suppression import FEW, MIN_PUBLISHED_PATIENTS, WITHHELD, few, suppressed

NOTES_WITHHELD = "Notes on the cohort are kept for the internal page."
# "9 control images of 3 patients", "7 patients"; not the settings "at least 5 patients" and "fewer than 5 patients".
_NAMED_FEW = re.compile(
    rf"(?<!at least )(?<!than )(?<![\d.,])\b(?:\d+ (?:\w+ )?images of )?(?:{'|'.join(map(str, range(1, 11)))})"
    r" (?:(?:test|control|training|real) )?patients?\b(?! are needed)"
)


def for_audience(data: ReportData) -> ReportData:
    """``data`` itself for an internal page; for a release, a copy that holds aggregates only.

    No image of any kind is kept: real ones and controls made of them are patients, and a generated one may be a copy.
    """
    if data.audience == "internal":
        return data
    cohort = replace(
        data.cohort, counts=_published_counts(data.cohort.counts), notes=(NOTES_WITHHELD,) if data.cohort.notes else (),
        tables=tuple(_published_table(table, table.patients) for table in data.cohort.tables if table.patients),
    )  # fmt: skip
    quarantine = {reason: n for reason, n in data.quarantine.items() if n >= MIN_PUBLISHED_PATIENTS}
    return replace(
        data, cohort=cohort, sets=tuple(map(_published_set, data.sets)), results=publishable(data.results), grids=(),
        strips=tuple(map(_published_strip, data.strips)), pairs=(), losses=_published_losses(data),
        quarantine=quarantine, card=published_card(data.card),
    )  # fmt: skip


def publishable(results: Sequence[MetricResult]) -> tuple[MetricResult, ...]:
    """``results``, in their order, as a release holds them.

    Withheld are values that rest on 1 to 10 real patients, numbers of 1 to 10 affected patients, and of each column
    and reference as many of the next smallest groups as keep the small ones from being worked out. Notes and
    identities say "fewer than 11 patients" where they named such a number.
    """
    hidden = _hidden_groups(results)
    return tuple(
        _withheld(row) if _is_small(row) or (row.reference, row.group) in hidden else _without_counts(row)
        for row in results
    )


def _published_losses(data: ReportData) -> tuple[LossCurve, ...]:
    """No losses of private trainings: they are of the training images, and no noise was added to them."""
    private = {row.generator for row in data.results if row.family == "privacy"}
    return tuple(curve for curve in data.losses if curve.generator not in private)


def _published_counts(counts: Sequence[CohortCount]) -> tuple[CohortCount, ...]:
    hidden: set[CohortCount] = set()
    for column in {row.column for row in counts}:
        sizes = {row: row.patients or 0 for row in counts if row.column == column and row.patients != 0}
        hidden |= suppressed(sizes, (row for row in sizes if row.patients is None or few(row.patients)))
    return tuple(replace(row, patients=None, images=None) if row in hidden else row for row in counts)


def _published_table(table: CohortTable, patients: Sequence[int]) -> CohortTable:
    """``table`` without the rows of few patients and those that would give them away."""
    hidden = suppressed(dict(enumerate(patients)), (i for i, n in enumerate(patients) if few(n)))
    kept = [i for i in range(len(table.rows)) if i not in hidden]
    rows = tuple(table.rows[i] for i in kept)
    if hidden:
        rows += (("withheld", *[""] * (len(table.columns) - 1)),)
    return replace(table, rows=rows, patients=None)


def _published_set(item: SetSummary) -> SetSummary:
    """The units of a control are patients, and a snapshot is chosen by patients."""
    if item.selection is not None and few(item.selection.patients):
        hidden = replace(item.selection, reason=WITHHELD, patients=0, images=0, candidates=())
        item = replace(item, selection=hidden)
    return replace(item, units=None) if item.origin == "control" and few(item.units) else item


def _published_strip(strip: Strip) -> Strip:
    """The numbers alone: names of values may be those of places with few patients."""
    no_images, no_marks = strip.images[:0, :0], strip.unseen[:0, :0]
    return replace(strip, values=(), reference=0, left_out=0, images=no_images, others=(), unseen=no_marks)


def _real_patients(row: MetricResult) -> int:
    """An upper limit on the real patients behind ``row``; 0 where it says nothing of them.

    Where images of a set were resampled, ``n_patients`` of a fidelity result counts these; the real images then limit
    the patients. In the other families it always counts patients.
    """
    if row.family == "fidelity" and row.resampling_unit == "image":
        return row.n_real
    return min((n for n in (row.n_patients, row.n_real) if n), default=0)


def _is_small(row: MetricResult) -> bool:
    if row.metric == "patients_affected" and row.value is not None and 0 < row.value < MIN_PUBLISHED_PATIENTS:
        return True
    return few(_real_patients(row)) or (row.value is None and _NAMED_FEW.search(row.note) is not None)


def _hidden_groups(results: Sequence[MetricResult]) -> set[tuple[str, str]]:
    """(reference, group) of the groups of patients that no result may be about.

    A group is one of patients whatever the metric, so it is hidden in all of them. Kinds of planted copies, and
    ``column=*`` for a column that a set lacks, are no parts of a total.
    """
    sizes: dict[tuple[str, str], dict[str, int]] = {}
    small: dict[tuple[str, str], set[str]] = {}
    for row in results:
        column, _, value = row.group.partition("=")
        if row.group == "all" or column == "kind" or value == "*":
            continue
        where = row.reference, column
        known = sizes.setdefault(where, {})
        known[row.group] = max(known.get(row.group, 0), _real_patients(row))
        if _is_small(row):
            small.setdefault(where, set()).add(row.group)
    return {
        (where[0], group)
        for where, groups in small.items()
        for group in suppressed(_asfew(sizes[where], groups), groups)
    }


def _asfew(sizes: Mapping[str, int], small: set[str]) -> dict[str, int]:
    """``sizes`` where a small group counts as few patients, whichever side of a comparison it was small on."""
    return {group: min(size, MIN_PUBLISHED_PATIENTS - 1) if group in small else size for group, size in sizes.items()}


def _withheld(row: MetricResult) -> MetricResult:
    return replace(
        row, value=None, ci_low=None, ci_high=None, floor=None, floor_ci_low=None, floor_ci_high=None,
        n_real=0, n_synthetic=0, n_patients=0, identity=(), status="absent", note=WITHHELD,
    )  # fmt: skip


def _without_counts(row: MetricResult) -> MetricResult:
    """``row`` without numbers of few patients in its texts, nor a floor that rests on so few."""
    identity = tuple((name, _NAMED_FEW.sub(FEW, text)) for name, text in row.identity)
    if _NAMED_FEW.search(row.note) is None:
        return replace(row, identity=identity)
    return replace(
        row, identity=identity, note=_NAMED_FEW.sub(FEW, row.note), floor=None, floor_ci_low=None, floor_ci_high=None
    )
