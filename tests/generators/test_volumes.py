"""Pixel-space families on volumes: trained, resumed, sampled."""

from pathlib import Path

import numpy as np
import pytest

from synthassay.generators.specs import TrainingSpec, VaeNetworkSpec, VaeSpec
from synthassay.records import SilentProgress
from tests.generators.families import CPU
from tests.generators.toys import tiny_spec, toy_volumes

pytestmark = pytest.mark.usefixtures("one_thread")


def spec_of(kind: str, **training: object) -> object:
    if kind != "vae":
        return tiny_spec(kind, **training)
    network = VaeNetworkSpec(patch=2, channels=(8, 16), strides=(2, 2), norm_groups=4, latent_size=8)
    settings = {"steps": 8, "batch_size": 8, "warmup_steps": 2, "log_every": 2, "learning_rate": 2e-3} | training
    return VaeSpec(network=network, training=TrainingSpec(**settings))


@pytest.mark.parametrize("kind", ["edm", "flow", "vae"])
def test_a_family_trains_on_volumes_and_samples_them(kind: str, tmp_path: Path) -> None:
    family = spec_of(kind).build()
    family.fit(toy_volumes(), tmp_path, seed=3, resources=CPU, progress=SilentProgress())
    drawn = family.load(tmp_path, CPU).sample(np.arange(3), {"label": np.array([0, 1, 1])})
    assert drawn.shape == (3, 1, 8, 16, 16)
    assert np.isfinite(drawn).all()
    assert not np.array_equal(drawn[1], drawn[2])


def test_labels_of_volumes_are_learnt(tmp_path: Path) -> None:
    family = spec_of("vae", steps=150).build()
    family.fit(toy_volumes(), tmp_path, seed=3, resources=CPU, progress=SilentProgress())
    drawn = family.load(tmp_path, CPU).sample(np.arange(8), {"label": np.arange(8) % 2})
    middle = drawn[:, 0, 3:5, 7:9, 7:9].mean((1, 2, 3))
    assert middle[1::2].min() > middle[::2].max()
