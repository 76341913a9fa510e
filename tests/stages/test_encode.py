"""encode: a team shares the rows, and rank 0 keeps what one process would have."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthassay.records import FeatureSet, ImageSet, SilentProgress
from synthassay.stages import encode
from synthassay.team import Team

N = 700  # not a multiple of what the members get


class Encoder:
    """The mean of each image, beside the number of images of its call."""

    def encode(self, images: ImageSet, progress: object) -> FeatureSet:
        features = np.stack([images.pixels.mean((1, 2, 3)), np.full(len(images), len(images))], 1).astype(np.float32)
        return FeatureSet(
            name=images.name, origin=images.origin, features=features, ids=images.ids, patients=images.patients,
            labels=images.labels, label_names=images.label_names, encoder="mean", encoder_identity=(),
            groups=images.groups, content_id=images.content_id,
        )  # fmt: skip


class Member(Team):
    """One that meets nobody."""

    def wait(self) -> None:
        """Go on."""


def test_members_encode_their_rows_and_the_first_joins_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.arange(N).astype(str)
    images = ImageSet(
        name="x", origin="real", pixels=np.random.default_rng(0).integers(0, 255, (N, 1, 4, 4)).astype(np.uint8),
        ids=ids, patients=ids, labels=np.arange(N) % 2, label_names=("a", "b"), groups={"site": ids},
    )  # fmt: skip
    encoder: Any = Encoder()
    whole = encode._features(encoder, images, SilentProgress(), tmp_path)
    for rank in (1, 0):
        monkeypatch.setattr(encode, "current_team", lambda rank=rank: Member(rank, 2))
        joined = encode._features(encoder, images, SilentProgress(), tmp_path)
    np.testing.assert_array_equal(joined.features[:, 0], whole.features[:, 0])
    assert np.unique(joined.features[:, 1]).tolist() == [256, 444]  # in multiples of the block, but for the last
    for name in ("ids", "patients", "labels"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
    np.testing.assert_array_equal(joined.groups["site"], ids)
    assert joined.content_id == images.content_id
