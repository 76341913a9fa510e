"""What every stage is handed: the run's spec, the store, and where to report."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

from pydantic import SerializeAsAny, model_validator

from synthassay.cohorts.specs import CohortSpec
from synthassay.downstream.specs import DownstreamSpec
from synthassay.errors import UserError
from synthassay.features.specs import Encoder, EncoderSpec
from synthassay.generators.conditioning.plan import AUTO
from synthassay.generators.conditioning.plan_specs import SampleSpec
from synthassay.generators.control_specs import ControlSpec
from synthassay.generators.external.specs import ExternalSpec
from synthassay.generators.selection_specs import SelectSpec
from synthassay.generators.specs import GeneratorSpec
from synthassay.metrics.specs import FidelitySpec
from synthassay.privacy.specs import MemorisationSpec
from synthassay.records import Progress
from synthassay.reports.data import StageTiming
from synthassay.specs import Resources, Spec
from synthassay.store.store import StageOutput, Store


class RunSpec(Spec):
    """Everything that changes a run's result."""

    kind: Literal["run"] = "run"
    cohort: SerializeAsAny[CohortSpec]
    generators: tuple[SerializeAsAny[GeneratorSpec | ExternalSpec], ...]
    select: SelectSpec = SelectSpec()
    sample: SampleSpec = SampleSpec()
    controls: tuple[SerializeAsAny[ControlSpec], ...]
    encoder: SerializeAsAny[EncoderSpec]
    also_encode: tuple[SerializeAsAny[EncoderSpec], ...] = ()  # further encoders, for fidelity only
    fidelity: FidelitySpec
    memorisation: MemorisationSpec
    downstream: DownstreamSpec
    seed: int = 0

    @model_validator(mode="after")
    def _counterfactuals_of_conditions(self) -> Self:
        given = {name for spec in self.generators for name in getattr(spec, "condition_on", ())}
        conditions = given | ({"label"} if AUTO in given else set())
        for name in self.sample.counterfactuals.columns or ():
            if name not in conditions:
                raise ValueError(f"sample.counterfactuals.columns names {name}, and no generator of this run is "
                                 f"conditioned on it; add it to generator.condition_on, or leave it out")  # fmt: skip
        return self


@dataclass
class RunContext:
    """One run under way. ``stages`` collects what was built or found, in order, for the provenance table."""

    spec: RunSpec
    store: Store
    keys: Path
    resources: Resources
    progress: Progress
    stages: list[StageOutput] = field(default_factory=list)
    fresh: set[str] = field(default_factory=set)  # keys of stages that a worker process of this run built
    encoders: dict[object, "Encoder"] = field(default_factory=dict)  # each built, and its weights loaded, once
    started: float = field(default_factory=time.monotonic)

    def note(self, output: StageOutput) -> StageOutput:
        """Remember a stage for the report's provenance and pass it on."""
        if output.key.digest in self.fresh:
            output = replace(output, found_done=False)
        self.stages.append(output)
        return output

    def encoder(self, key: object, build: Callable[[], "Encoder"]) -> "Encoder":
        """The encoder of ``key``, which is built when it is first asked for."""
        if key not in self.encoders:
            self.encoders[key] = build()
        return self.encoders[key]

    def set_names(self) -> tuple[str, ...]:
        """Names of the sets under test: generators, then controls; duplicates are an error."""
        names = [spec.name for spec in (*self.spec.generators, *self.spec.controls)]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise UserError(
                f"two sets are called {doubled[0]!r}; give each generator a name of its own (generator.name=...)"
            )
        return tuple(names)


def stage_timings(context: RunContext) -> list[StageTiming]:
    """What each stage cost; repeated stages (one per set) are summed under one name."""
    summed: dict[str, StageTiming] = {}
    for output in context.stages:
        record, name = output.provenance, output.key.stage
        before = summed.get(name)
        summed[name] = StageTiming(
            stage=name,
            seconds=record["seconds"] + (before.seconds if before else 0.0),
            peak_memory_mb=max(record["peak_memory_mb"], (before.peak_memory_mb or 0.0) if before else 0.0),
            found_done=output.found_done and (before is None or before.found_done),
        )
    return list(summed.values())
