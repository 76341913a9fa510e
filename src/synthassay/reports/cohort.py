"""What a page says about the real scans: a section of every report, and the page that ``prepare`` leaves."""

from collections.abc import Sequence
from dataclasses import dataclass

from synthassay.reports.account import (
    Facts,
    cohort_facts,
    count_tables,
    flat_facts,
    images_of,
    labelled_by,
    policy_facts,
    provenance_facts,
    quarantine_table,
    reading_tables,
    timing_table,
)
from synthassay.reports.data import Audience, ReportData
from synthassay.reports.layout import Table
from synthassay.reports.real_data.section import RealData, real_data_section
from synthassay.reports.samples import Samples, samples
from synthassay.reports.sentences.grammar import sentence
from synthassay.reports.words import clean

AUDIENCES: dict[Audience, str] = {
    "internal": "internal page: holds images of patients, do not pass it on",
    "release": "for release: aggregates only",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortCard:
    """The section about the real data."""

    opening: str
    facts: Facts
    policy: Facts
    counts: Sequence[Table]
    notes: Sequence[str]
    tables: Sequence[tuple[Table, str]]
    real: RealData
    quarantine: Table | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortPage:
    """The whole page of a cohort that nothing has been trained on yet."""

    title: str
    run_id: str
    audience_line: str
    tested: Sequence[str]
    samples: Samples | None
    cohort: CohortCard
    timings: Table
    provenance: Facts
    settings: Facts

    @property
    def contents(self) -> list[tuple[str, str]]:
        """Anchor and title of each section on the page."""
        first = [("samples", "Samples")] if self.samples else []
        return [*first, ("cohort", "The real data"), ("provenance", "Provenance")]


def cohort_card(data: ReportData, opening: str) -> CohortCard:
    """The section of ``data``; ``opening`` says what the scans are to the rest of the page."""
    return CohortCard(
        opening=opening, facts=cohort_facts(data), policy=policy_facts(data.cohort.policy),
        counts=count_tables(data.cohort.counts), notes=[clean(note) for note in data.cohort.notes],
        tables=reading_tables(data.cohort.tables), real=real_data_section(data), quarantine=quarantine_table(data),
    )  # fmt: skip


def cohort_page_of(data: ReportData) -> CohortPage:
    """The page of ``data``, which has no sets and no results, and is fit for its audience already."""
    cohort = data.cohort
    first = f"{images_of(cohort)}, {labelled_by(cohort)}"
    return CohortPage(
        title=clean(data.title), run_id=clean(data.run_id), audience_line=AUDIENCES[data.audience],
        tested=[sentence(first), "Nothing has been trained: this is what the scans are and how they were read."],
        samples=samples(data), cohort=cohort_card(data, "All splits together."), timings=timing_table(data),
        provenance=provenance_facts(data), settings=list(flat_facts(data.settings)),
    )  # fmt: skip
