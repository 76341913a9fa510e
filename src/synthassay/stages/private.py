"""What the private trainings of a run promise, as results beside what they cost in fidelity."""

import json
from collections.abc import Mapping
from typing import Any

from synthassay.generators.family import PRIVACY
from synthassay.generators.training.checkpoint import MODEL_CARD
from synthassay.records import MetricResult
from synthassay.store.store import StageOutput

NOT_COVERED = (
    "the guarantee is of the weights and of images drawn from them; not covered are the conditions' values and their "
    "frequencies with sample.plan=real, the losses, the choice of settings, and this report"
)
SEEDED = "noise and patients were drawn from the run's seed: whoever knows it is not held by the guarantee"


def promises(trained: Mapping[str, StageOutput]) -> list[MetricResult]:
    """ε and δ of every generator that was trained privately."""
    rows = []
    for name, output in trained.items():
        path = output.path / MODEL_CARD
        promised = json.loads(path.read_text(encoding="utf-8")).get(PRIVACY) if path.exists() else None
        if promised is not None:
            rows += [_row(name, promised, "epsilon", False), _row(name, promised, "delta", None)]
    return rows


def _row(name: str, promised: Mapping[str, Any], value: str, higher_is_better: bool | None) -> MetricResult:
    compared = ("unit", "neighbours") if value == "delta" else ("unit", "neighbours", "delta")
    how = (
        f"DP-SGD over {promised['steps']:,} steps: noise {promised['noise']:.4g}, clip {promised['clip']:g}, sampling "
        f"rate {promised['sample_rate']:.4g}, accountant {promised['accountant']}; unit {promised['unit']}, "
        f"{promised['neighbours']}"
    )
    return MetricResult(
        family="privacy",
        metric=f"dp_{value}",
        generator=name,
        reference="generator-train",
        value=promised[value],
        resampling_unit="",
        n_patients=promised["patients"],
        identity=tuple((part, f"{promised[part]}") for part in compared),
        higher_is_better=higher_is_better,
        status="ok" if promised["secure"] else "descriptive",
        note="; ".join([how, *([] if promised["secure"] else [SEEDED]), NOT_COVERED]),
    )
