"""The GAN on volumes, through the protocol that all families share."""

from pathlib import Path

import numpy as np
import pytest

from synthassay.errors import UserError
from synthassay.generators.gan.family import GanFamily
from synthassay.generators.gan.specs import AugmentationSpec, GanSpec, R3GanNetworkSpec
from synthassay.generators.specs import TrainingSpec
from synthassay.records import ImageSet, SilentProgress
from synthassay.specs import Resources

CPU = Resources(device="cpu")


def volumes(*sides: int) -> ImageSet:
    random = np.random.default_rng(0)
    ids = np.array([f"v{k}" for k in range(6)])
    return ImageSet(
        name="volumes", origin="real", pixels=random.integers(0, 256, (6, 1, *sides), np.uint8), ids=ids, patients=ids,
        labels=np.arange(6) % 2, label_names=("a", "b"),
    )  # fmt: skip


def family() -> GanFamily:
    network = R3GanNetworkSpec(patch=2, channels=(8, 16), expansion=1, group_width=8, latent_size=4, embedding_size=4)
    training = TrainingSpec(steps=3, batch_size=4, gradient_clip=0.0, beta1=0.0)
    augmentation = AugmentationSpec(start=0.5, turns=True)
    return GanFamily(GanSpec(kind="gan3d", network=network, augmentation=augmentation, training=training))


def test_volumes_are_learnt_and_sampled_seed_by_seed(tmp_path: Path) -> None:
    family().fit(volumes(8, 12, 12), tmp_path, seed=0, resources=CPU, progress=SilentProgress())
    sampler = family().load(tmp_path, CPU)
    labels = {"label": np.array([0, 1, 1])}
    drawn = sampler.sample(np.arange(3), labels)
    assert drawn.shape == (3, 1, 8, 12, 12)
    assert np.isfinite(drawn).all()
    assert not np.array_equal(drawn[1], drawn[2])
    assert np.array_equal(sampler.sample(np.array([1, 2]), {"label": labels["label"][1:]}), drawn[1:])


def test_sides_that_cannot_be_halved_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"8×10×8.*multiples of 4"):
        family().fit(volumes(8, 10, 8), tmp_path, seed=0, resources=CPU, progress=SilentProgress())
