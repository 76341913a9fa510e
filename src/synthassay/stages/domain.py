"""domain: generator-train images → the cohort's own encoder. Other encoders are ready without it."""

from functools import partial
from pathlib import Path

from synthassay.features.domain_specs import DomainSpec
from synthassay.features.protocol import Encoder
from synthassay.features.sliced import SlicedEncoder
from synthassay.features.specs import EncoderSpec
from synthassay.records import ImageSet
from synthassay.stages.context import RunContext
from synthassay.stages.volumetric import is_volumetric
from synthassay.store.store import StageKey

VERSION = 1


def ready_encoder(context: RunContext, spec: EncoderSpec, train: ImageSet) -> Encoder:
    """The encoder of ``spec``, the same in every stage of a run.

    A domain encoder is trained first, on ``train``: the images of generator-train.

    Where these are volumes, an encoder of images looks at slices of them.
    """
    if not isinstance(spec, DomainSpec):
        encoder = context.encoder(spec, partial(spec.build, context.resources))
        return SlicedEncoder(encoder) if is_volumetric(train) and encoder.spatial == 2 else encoder
    if train.split != "generator-train":
        raise ValueError(f"the domain encoder is trained on generator-train, not on {train.name}")

    def build(workdir: Path) -> None:
        spec.train(train, workdir, context.resources, context.progress)

    key = StageKey("domain", VERSION, {"encoder": spec.to_key()}, {"train": train.content_id})
    output = context.note(context.store.run(key, build))
    return context.encoder(key.digest, partial(spec.load, output.path, context.resources))
