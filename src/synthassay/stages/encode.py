"""encode: image set → features, kept by the content of the images and the identity of the encoder."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthassay.records import FeatureSet, ImageSet, Progress
from synthassay.stages.context import RunContext
from synthassay.store.store import StageKey
from synthassay.store.tables import load_features, save_features, write_array
from synthassay.team import current_team

if TYPE_CHECKING:
    from synthassay.features.specs import Encoder

VERSION = 1
ROWS = 256  # a team shares a set in multiples of this, so that the batches of encoders stay what they were


def encode(context: RunContext, encoder: "Encoder", images: ImageSet) -> FeatureSet:
    """The features of ``images``; equal pixels are encoded once, whatever set they belong to."""
    key = StageKey("encode", VERSION, {"encoder": dict(encoder.identity)}, {"images": images.content_id})

    def build(workdir: Path) -> None:
        features = _features(encoder, images, context.progress, workdir / ".parts")
        if current_team().rank == 0:
            save_features(features, workdir)

    output = context.note(context.store.run(key, build, shared=len(images) >= ROWS * current_team().size))
    features = load_features(output.path)
    # The stored table belongs to the first set that had this content; the names are this set's.
    return replace(
        features, name=images.name, origin=images.origin, ids=images.ids, patients=images.patients, split=images.split
    )


def _features(encoder: "Encoder", images: ImageSet, progress: Progress, parts: Path) -> FeatureSet:
    """The features of ``images``; in a team each process encodes its rows, and rank 0 returns all of them."""
    team = current_team()
    if team.size == 1:
        return encoder.encode(images, progress)
    parts.mkdir(exist_ok=True)
    share = team.part(-(-len(images) // ROWS))
    rows = np.arange(ROWS * share.start, min(ROWS * share.stop, len(images)))
    encoded = encoder.encode(images.take(rows, content_id=images.content_id), progress)
    write_array(parts / f"{team.rank}.npy", encoded.features)
    team.wait()
    if team.rank:
        return encoded
    features = np.concatenate([np.load(parts / f"{k}.npy", allow_pickle=False) for k in range(team.size)])
    return replace(
        encoded, features=features, ids=images.ids, patients=images.patients, labels=images.labels, groups=images.groups
    )
