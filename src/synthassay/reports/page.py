"""Everything that the page's template shows, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass

from synthassay.reports.account import Facts, flat_facts, provenance_facts, result_tables, timing_table
from synthassay.reports.cohort import AUDIENCES, CohortCard, cohort_card
from synthassay.reports.counterfactuals import Counterfactuals, counterfactuals
from synthassay.reports.data import ReportData
from synthassay.reports.findings import Topic, findings, opening_sentences
from synthassay.reports.layout import Block, Panel, Table
from synthassay.reports.panels import (
    Downstream,
    LegendItem,
    Memorisation,
    against_train_table,
    downstream_section,
    fidelity_blocks,
    legend_item,
    loss_panels,
    marks_of,
    memorisation_section,
)
from synthassay.reports.private import PrivateSection, private_section
from synthassay.reports.samples import PairGroup, Samples, pairs, samples
from synthassay.reports.select import Results
from synthassay.reports.snapshots import snapshot_notes, snapshot_panels, snapshot_table
from synthassay.reports.words import clean

MEASURED_AGAINST = "The scans that everything above was made from and measured against, all splits together."


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The whole page; sections without content are None or empty and are left out."""

    title: str
    run_id: str
    audience_line: str
    tested: Sequence[str]
    findings: Sequence[Topic]
    samples: Samples | None
    counterfactuals: Counterfactuals | None
    pairs: Sequence[PairGroup]
    fidelity: Sequence[Block]
    marks: Sequence[LegendItem]
    against_train: Table | None
    memorisation: Memorisation | None
    private: PrivateSection | None
    downstream: Downstream | None
    losses: Sequence[Panel]
    snapshots: Table | None
    snapshot_panels: Sequence[Panel]
    snapshot_notes: Sequence[str]
    cohort: CohortCard
    tables: Sequence[Table]
    timings: Table
    provenance: Facts
    settings: Facts

    @property
    def contents(self) -> list[tuple[str, str]]:
        """Anchor and title of each section on the page."""
        sections = [
            ("findings", "Findings", True), ("samples", "Samples", self.samples),
            ("counterfactuals", "Counterfactuals", self.counterfactuals), ("pairs", "Copied pairs", self.pairs),
            ("fidelity", "Fidelity", self.fidelity), ("memorisation", "Memorisation", self.memorisation),
            ("private", "Private training", self.private),
            ("downstream", "Downstream use", self.downstream), ("training", "Training", self.losses or self.snapshots),
            ("cohort", "The real data", True), ("results", "All results", True), ("provenance", "Provenance", True),
        ]  # fmt: skip
        return [(anchor, title) for anchor, title, content in sections if content]


def page_of(data: ReportData, results: Results) -> Page:
    """The page of ``data``, which is fit for its audience already."""
    return Page(
        title=clean(data.title).removesuffix(":"), run_id=clean(data.run_id), audience_line=AUDIENCES[data.audience],
        tested=opening_sentences(data), findings=findings(results, data), samples=samples(data), pairs=pairs(data),
        counterfactuals=counterfactuals(data),
        fidelity=fidelity_blocks(results), marks=[legend_item(m, clean(n)) for n, m in marks_of(results).items()],
        against_train=against_train_table(results), memorisation=memorisation_section(results),
        private=private_section(results), downstream=downstream_section(results), losses=loss_panels(data),
        snapshots=snapshot_table(data), snapshot_panels=snapshot_panels(data), snapshot_notes=snapshot_notes(data),
        cohort=cohort_card(data, MEASURED_AGAINST), tables=result_tables(results.rows), timings=timing_table(data),
        provenance=provenance_facts(data), settings=list(flat_facts(data.settings)),
    )  # fmt: skip
