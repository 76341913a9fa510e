"""card: the real data's own card, site by site and device by device."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthassay.card import DataCard
from synthassay.metrics.card.describe import describe
from synthassay.records import Cohort, ScanRecord, content_digest
from synthassay.stages.context import RunContext
from synthassay.store.store import StageKey
from synthassay.store.tables import load_card, save_card

VERSION = 2
FACTS: dict[str, Callable[[ScanRecord], float | None]] = {
    "pixel spacing": lambda record: record.spacing_mm[0] if record.spacing_mm else None,
    "slice spacing": lambda record: record.spacing_mm[2] if record.spacing_mm and len(record.spacing_mm) > 2 else None,
    "source rows": lambda record: record.source_rows,
    "source columns": lambda record: record.source_columns,
}


def data_card(context: RunContext, cohort: Cohort) -> DataCard:
    """The card of the real images, all splits together."""
    facts = {name: _column(cohort, fact) for name, fact in FACTS.items()}
    inputs = {"cohort": cohort.content_id, "facts": content_digest(*facts.values())}
    key = StageKey("card", VERSION, {"seed": context.spec.seed}, inputs)

    def build(workdir: Path) -> None:
        card = describe(cohort.images, facts, seed=context.spec.seed, progress=context.progress)
        save_card(card, workdir / "card.json")

    return load_card(context.note(context.store.run(key, build)).path / "card.json")


def _column(cohort: Cohort, fact: Callable[[ScanRecord], float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if (value := fact(record)) is None else value for record in cohort.records], np.float64)
