"""select: the snapshots of a trained generator → the one to sample, by KID against validation patients.

Test and control images decide nothing: no function here is handed any. All snapshots draw from the same seeds and with
the same conditions, those of generator-train, so that they differ by their weights only.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthassay.generators.foreign.specs import PretrainedSpec
from synthassay.generators.specs import GeneratorSpec
from synthassay.metrics.groups import whole_patient_subset
from synthassay.metrics.kid import kid
from synthassay.records import ImageSet
from synthassay.reports.data import Candidate, Selection
from synthassay.seeding import numpy_generator
from synthassay.stages.context import RunContext
from synthassay.stages.domain import ready_encoder
from synthassay.stages.encode import encode
from synthassay.stages.parallel import Job, fill_store
from synthassay.stages.sample import sample
from synthassay.store.files import write_json
from synthassay.store.store import StageKey, StageOutput
from synthassay.team import current_team

if TYPE_CHECKING:
    from synthassay.features.protocol import Encoder

VERSION = 1
SELECTION = "selection.json"


def select(
    context: RunContext, trained: Mapping[str, StageOutput], train: ImageSet, validation: ImageSet
) -> dict[str, Selection]:
    """What to sample of each of the run's trained generators in ``trained``; pretrained ones have no snapshots."""
    specs = [s for s in context.spec.generators if isinstance(s, GeneratorSpec) and not isinstance(s, PretrainedSpec)]
    found = {spec.name: _last(context, spec, trained[spec.name], validation) for spec in specs}
    open_ = [spec for spec in specs if not found[spec.name].reason]
    if open_:
        reference = _reference(validation, context.spec.select.images)
        encoder = _encoder(context, train)
        keys = {spec.name: _key(context, spec, trained[spec.name], train, reference, encoder) for spec in open_}
        absent = [spec for spec in open_ if context.store.find(keys[spec.name]) is None]
        fill_store(
            context,
            [Job(keys[spec.name], choose_snapshot, (spec, trained[spec.name], train, reference)) for spec in absent],
        )
        for spec in open_:
            found[spec.name] = _choose(context, spec, trained[spec.name], train, reference, encoder)
    return found


def _last(context: RunContext, spec: GeneratorSpec, trained: StageOutput, validation: ImageSet) -> Selection:
    """The end of the training, and why nothing else comes into question; without a reason where something does."""
    rule, steps = context.spec.select, spec.build().snapshots(trained.path)
    patients = len(np.unique(validation.patients))
    reason = ""
    if spec.positive_control:
        reason = "a positive control for memorisation is sampled at its end"
    elif rule.rule == "last":
        reason = "select.rule=last"
    elif len(steps) < 2:
        reason = "one state of its training can be sampled (training.snapshots, less one that guides)"
    elif patients < rule.min_patients or len(validation) < rule.min_images:
        reason = (f"validation has {patients} patients with {len(validation)} images, and a choice needs "
                  f"{rule.min_patients} with {rule.min_images}")  # fmt: skip
    return Selection(
        rule="last", chosen=steps[-1], steps=steps[-1], reason=reason, images=len(validation), patients=patients
    )


def _reference(validation: ImageSet, n: int) -> ImageSet:
    """At most ``n`` images of validation, by whole patients in a seeded order."""
    if len(validation) <= n:
        return validation
    units = np.unique(validation.patients, return_inverse=True)[1]
    return validation.take(whole_patient_subset(units, n, numpy_generator("validation images", n)))


def _encoder(context: RunContext, train: ImageSet) -> "Encoder":
    """The run's encoder. Where it is trained for that, the stage *encode* notes the training, as made by this run."""
    quiet = replace(context, stages=[])
    encoder = ready_encoder(quiet, context.spec.encoder, train)
    context.fresh.update(output.key.digest for output in quiet.stages if not output.found_done)
    return encoder


def _key(
    context: RunContext,
    spec: GeneratorSpec,
    trained: StageOutput,
    train: ImageSet,
    reference: ImageSet,
    encoder: "Encoder",
) -> StageKey:
    rule = {"rule": context.spec.select.rule, "n": len(reference)}
    facts = rule | {"generator": _asked(spec).to_key(), "encoder": dict(encoder.identity), "seed": context.spec.seed}
    inputs = {"generator": trained.key.digest, "train": train.content_id, "validation": reference.content_id}
    return StageKey("select", VERSION, facts, inputs)


def _asked(spec: GeneratorSpec) -> GeneratorSpec:
    """``spec`` without the number of images of the final set, which decides nothing here."""
    return spec.model_copy(update={"images": None})


def choose_snapshot(
    context: RunContext, spec: GeneratorSpec, trained: StageOutput, train: ImageSet, reference: ImageSet
) -> Selection:
    """The snapshot of ``trained`` that is nearest to ``reference``, in a process of its own."""
    return _choose(context, spec, trained, train, reference, _encoder(context, train))


def _choose(
    context: RunContext,
    spec: GeneratorSpec,
    trained: StageOutput,
    train: ImageSet,
    reference: ImageSet,
    encoder: "Encoder",
) -> Selection:
    """The snapshot of ``trained`` that is nearest to ``reference``, images of validation patients.

    What was drawn and encoded on the way is in the store, where a run that was killed takes it up again.
    """
    quiet = replace(context, stages=[])  # the steps on the way are part of this stage

    def build(workdir: Path) -> None:
        steps = spec.build().snapshots(trained.path)
        real = encode(quiet, encoder, reference)
        candidates = []
        for step in steps:
            images = sample(quiet, _asked(spec), trained, train, step, trial=len(reference))
            drawn = encode(quiet, encoder, images)
            value = kid(real.features, drawn.features, real_units=real.patients)
            assert value.standard_error is not None  # there are two patients or more
            candidates.append(Candidate(step=step, kid=value.value, standard_error=value.standard_error))
        selection = Selection(
            rule=context.spec.select.rule, chosen=chosen(candidates).step, steps=steps[-1], encoder=real.encoder,
            images=len(reference), patients=len(np.unique(reference.patients)), candidates=tuple(candidates),
        )  # fmt: skip
        if current_team().rank == 0:
            write_json(workdir / SELECTION, asdict(selection))

    key = _key(context, spec, trained, train, reference, encoder)
    output = context.note(context.store.run(key, build, shared=True))
    kept = json.loads((output.path / SELECTION).read_text(encoding="utf-8"))
    return Selection(**{**kept, "candidates": tuple(Candidate(**row) for row in kept["candidates"])})


def chosen(candidates: Sequence[Candidate]) -> Candidate:
    """The last of the candidates (in the order of their steps) whose KID is within the standard error of the smallest.

    A longer training is preferred where the images cannot tell.
    """
    best = min(candidates, key=lambda candidate: candidate.kid)
    return [candidate for candidate in candidates if candidate.kid <= best.kid + best.standard_error][-1]
