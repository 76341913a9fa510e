"""Training that starts with the weights of another: pre-training."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthassay.errors import UserError
from synthassay.generators.specs import TrainingSpec, VaeNetworkSpec, VaeSpec
from synthassay.generators.training.checkpoint import read_tensors
from synthassay.generators.training.private_specs import DpSpec
from synthassay.generators.vae import VaeFamily
from synthassay.records import ImageSet, SilentProgress
from synthassay.specs import Resources

CPU = Resources(device="cpu")
DP = DpSpec(epsilon=None, noise=1.0, patients=2, views=1, accountant="rdp")


def images(sites: tuple[str, ...] = ("east", "north")) -> ImageSet:
    n = 8
    pixels = np.random.default_rng(0).integers(0, 200, (n, 1, 8, 8), dtype=np.uint8)
    ids = np.array([f"i{i}" for i in range(n)])
    return ImageSet(
        name="t", origin="real", pixels=pixels, ids=ids, patients=ids, labels=np.arange(n, dtype=np.int64) % 2,
        label_names=("a", "b"), groups={"site": np.array([sites[i % len(sites)] for i in range(n)])},
    )  # fmt: skip


def spec(channels: tuple[int, ...] = (8, 16), steps: int = 2, **changes: object) -> VaeSpec:
    network = VaeNetworkSpec(patch=1, channels=channels, strides=(2,) * len(channels), norm_groups=4, latent_size=4)
    training = TrainingSpec(steps=steps, batch_size=4, learning_rate=1e-12, warmup_steps=0, snapshots=1)
    settings = {"network": network, "training": training, "condition_on": ("label", "site"), **changes}
    return VaeSpec(**settings)  # type: ignore[arg-type]


def fit(made: VaeSpec, folder: Path, subject: ImageSet, seed: int = 0) -> dict:
    torch.set_num_threads(1)
    VaeFamily(made).fit(subject, folder, seed=seed, resources=CPU, progress=SilentProgress())
    return json.loads((folder / "model.json").read_text())


def test_weights_and_the_values_that_both_know_are_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    public = fit(spec(), tmp_path / "public", images())
    with caplog.at_level(logging.WARNING):
        card = fit(spec(init_from=tmp_path / "public", private=DP), tmp_path / "own", images(("north", "west")), seed=1)
    assert "know 1 of 2 values of site" in caplog.text
    assert card["mean"] == public["mean"]  # the scale of the public images, which says nothing of private ones
    before = read_tensors(tmp_path / "public" / "model.safetensors")[0]
    after = read_tensors(tmp_path / "own" / "model.safetensors")[0]
    sites = "embedder.named.1.weight"
    for name in before:
        if name != sites:
            torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(after[sites][:2], before[sites][[0, 2]], atol=1e-6, rtol=1e-5)  # missing, north
    assert not torch.allclose(after[sites][2], before[sites][1], atol=1e-3)  # west starts anew


def test_the_content_of_the_initial_weights_is_part_of_the_key_and_their_place_is_not(tmp_path: Path) -> None:
    fit(spec(), tmp_path / "a", images())
    fit(spec(), tmp_path / "same", images())
    fit(spec(), tmp_path / "other", images(), seed=1)
    keys = {name: spec(init_from=tmp_path / name).training_key() for name in ("a", "same", "other")}
    assert keys["a"] == keys["same"]
    assert keys["a"] != keys["other"]
    assert keys["a"] != spec().training_key()
    assert str(tmp_path) not in json.dumps(keys["a"])


def test_other_networks_and_unfinished_trainings_are_refused(tmp_path: Path) -> None:
    fit(spec(), tmp_path / "a", images())
    with pytest.raises(UserError, match="other network settings"):
        fit(spec((8, 8), init_from=tmp_path / "a"), tmp_path / "b", images())
    with pytest.raises(UserError, match="holds no finished training"):
        fit(spec(init_from=tmp_path / "nothing"), tmp_path / "c", images())
    card = json.loads((tmp_path / "a/model.json").read_text())
    (tmp_path / "a/model.json").write_text(json.dumps(card | {"family": "edm"}))
    with pytest.raises(UserError, match="weights of 'edm'"):
        fit(spec(init_from=tmp_path / "a"), tmp_path / "d", images())


def test_the_scale_of_private_images_is_fixed(tmp_path: Path) -> None:
    subject = images()
    other = replace(subject, pixels=subject.pixels[::-1].copy())
    assert (
        fit(spec(private=DP), tmp_path / "a", subject)["mean"] == fit(spec(private=DP), tmp_path / "b", other)["mean"]
    )
