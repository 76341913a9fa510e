"""encode: image set → features, kept by the content of the images and the identity of the encoder."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from synthassay.records import FeatureSet, ImageSet
from synthassay.stages.context import RunContext
from synthassay.store.store import StageKey
from synthassay.store.tables import load_features, save_features

if TYPE_CHECKING:
    from synthassay.features.specs import Encoder

VERSION = 1


def encode(context: RunContext, encoder: "Encoder", images: ImageSet) -> FeatureSet:
    """The features of ``images``; equal pixels are encoded once, whatever set they belong to."""
    key = StageKey("encode", VERSION, {"encoder": dict(encoder.identity)}, {"images": images.content_id})

    def build(workdir: Path) -> None:
        save_features(encoder.encode(images, context.progress), workdir)

    output = context.note(context.store.run(key, build))
    features = load_features(output.path)
    # The stored table belongs to the first set that had this content; the names are this set's.
    return replace(
        features, name=images.name, origin=images.origin, ids=images.ids, patients=images.patients, split=images.split
    )
