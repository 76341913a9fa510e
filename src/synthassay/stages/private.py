"""What the private trainings of a run promise, as results beside what they cost in fidelity."""

import json
from collections.abc import Mapping
from typing import Any

from synthassay.generators.family import PRIVACY
from synthassay.generators.training.checkpoint import MODEL_CARD
from synthassay.generators.training.initial import TRAINED_ON
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
        card = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if PRIVACY in card:
            promised, before = card[PRIVACY], _before(card)
            rows += [_row(name, promised, before, "epsilon", False), _row(name, promised, before, "delta", None)]
    return rows


def _before(card: Mapping[str, Any]) -> list[str]:
    """What was trained before, on which images, none of which the guarantee covers."""
    if "initial_weights" not in card:
        return []
    names = [source["name"] for source in card.get(TRAINED_ON, [])[:-1]] or ["images that its card does not name"]
    notes = [f"it started with weights that were trained, without this guarantee, on {', then '.join(names)}"]
    if "latent_shape" in card:
        notes.append(f"its autoencoder was trained on {names[0]} and not changed; it encodes and decodes these images")
    return notes


def _row(
    name: str, promised: Mapping[str, Any], before: list[str], value: str, higher_is_better: bool | None
) -> MetricResult:
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
        note="; ".join([how, *before, *([] if promised["secure"] else [SEEDED]), NOT_COVERED]),
    )
