"""train: generator-train images → generator."""

from dataclasses import replace
from pathlib import Path

from synthassay.generators.specs import GeneratorSpec
from synthassay.records import ImageSet
from synthassay.stages.context import RunContext
from synthassay.store.store import StageKey, StageOutput

VERSION = 3


def train_key(context: RunContext, spec: GeneratorSpec, images: ImageSet) -> StageKey:
    """What the trained generator depends on. What only matters when sampling is not in it."""
    inputs = {"train": images.content_id}
    return StageKey("train", VERSION, {"generator": spec.training_key(), "seed": context.spec.seed}, inputs)


def train(context: RunContext, spec: GeneratorSpec, images: ImageSet) -> StageOutput:
    """The trained generator of ``spec``."""

    named = replace(images, name=context.spec.cohort.name)  # the card says what the weights were trained on

    def build(workdir: Path) -> None:
        spec.build().fit(named, workdir, seed=context.spec.seed, resources=context.resources, progress=context.progress)

    return context.note(context.store.run(train_key(context, spec, images), build, shared=True))
