"""Latent families: two trainings as one, masks in the latent, files, messages."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Condition, Vocabulary
from synthassay.generators.diffusion.specs import SamplingSpec
from synthassay.generators.latent.encoding import LATENTS
from synthassay.generators.latent.specs import AutoencoderSpec, LatentEdmSpec
from synthassay.generators.networks.unet import UNet
from synthassay.generators.training.loop import Pace
from synthassay.records import ImageSet, SilentProgress
from tests.generators.families import CPU, StopAt
from tests.generators.toys import tiny_spec, toy_volumes

pytestmark = pytest.mark.usefixtures("one_thread")

SIDES = {"latent_edm": (16, 16), "latent_flow": (8, 16, 16)}
KINDS = tuple(SIDES)


def fit(spec: object, folder: Path, images: ImageSet, progress: object = None) -> None:
    family = spec.build()
    family.pace = Pace(steps=4)
    family.fit(images, folder, seed=3, resources=CPU, progress=progress or SilentProgress())


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module", params=KINDS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    fit(tiny_spec(request.param), folder, toy_volumes(shape=SIDES[request.param]))
    return request.param, folder


# While the autoencoder learns alone, with the discriminator, between the two trainings, and in the second one.
@pytest.mark.parametrize("stop", [3, 7, 9, 13])
def test_interrupted_anywhere_it_ends_in_the_bits_of_an_uninterrupted_one(
    stop: int, trained: tuple[str, Path], tmp_path: Path
) -> None:
    kind, whole = trained
    images = toy_volumes(shape=SIDES[kind])
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_spec(kind), tmp_path, images, StopAt(stop))
    assert not (tmp_path / "model.safetensors").exists()
    assert (tmp_path / LATENTS).exists() == (stop > 8)
    fit(tiny_spec(kind), tmp_path, images)
    assert files(tmp_path) == files(whole)


def test_the_card_says_what_the_latents_are_and_how_well_they_are_decoded(trained: tuple[str, Path]) -> None:
    kind, folder = trained
    card = json.loads((folder / "model.json").read_text())
    assert card["family"] == kind
    assert card["latent_shape"] == [2, *(side // 4 for side in SIDES[kind])]
    assert 0 < card["reconstruction_error"] < 1
    assert len(card["latent_mean"]) == len(card["latent_std"]) == 2


def test_losses_of_both_trainings_are_tables_and_the_discriminator_joins_in_half_way(
    trained: tuple[str, Path],
) -> None:
    _, folder = trained
    rows = list(csv.DictReader((folder / "autoencoder" / "losses.csv").open()))
    assert [row["step"] for row in rows] == ["2", "4", "6", "8"]
    assert [np.isfinite(float(row["discriminator"])) for row in rows] == [False, False, True, True]
    assert all(float(row["reconstruction"]) > 0 for row in rows)
    assert [row["step"] for row in csv.DictReader((folder / "losses.csv").open())] == ["2", "4", "6", "8"]


def test_an_image_depends_on_its_seed_only_and_snapshots_differ(trained: tuple[str, Path]) -> None:
    kind, folder = trained
    family, seeds = tiny_spec(kind).build(), np.arange(5)
    labels = {"label": np.arange(5) % 2}
    drawn = family.load(folder, CPU).sample(seeds, labels)
    assert drawn.shape == (5, 1, *SIDES[kind])
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    again = family.load(folder, CPU).sample(seeds[3:], {"label": labels["label"][3:]})
    np.testing.assert_array_equal(again, drawn[3:])
    assert not np.array_equal(family.load(folder, CPU, snapshot=4).sample(seeds, labels), drawn)


def test_no_latent_of_a_patient_is_needed_to_sample(trained: tuple[str, Path], tmp_path: Path) -> None:
    kind, folder = trained
    shutil.copytree(folder, tmp_path / "shared", ignore=shutil.ignore_patterns(".*", "checkpoint*"))
    assert tiny_spec(kind).build().load(tmp_path / "shared", CPU).sample(np.arange(2), {}).shape[0] == 2


def test_a_longer_training_reconstructs_better(tmp_path: Path) -> None:
    images, errors = toy_volumes(shape=(16, 16)), []
    for first in (4, 200):
        fit(tiny_spec("latent_edm", steps=2, first=first), tmp_path / str(first), images)
        errors.append(json.loads((tmp_path / str(first) / "model.json").read_text())["reconstruction_error"])
    assert errors[1] < 0.5 * errors[0]


def test_a_mask_is_seen_in_the_latent(tmp_path: Path) -> None:
    images = toy_volumes(shape=(8, 16, 16), masks=True)
    spec = tiny_spec("latent_flow", condition_on=("label", "mask"))
    fit(spec, tmp_path, images)
    sampler = spec.build().load(tmp_path, CPU)
    masks = np.zeros((2, 8, 16, 16), np.uint8)
    masks[1, 2:6, 4:12, 4:12] = 1
    conditions = {"label": np.zeros(2, np.int64), "mask": masks}
    drawn = sampler.sample(np.array([5, 5]), conditions)
    assert not np.array_equal(drawn[0], drawn[1])


def test_planes_are_shares_of_each_cell() -> None:
    spec = tiny_spec("latent_edm").network
    network = UNet(spec, 2, 2, Vocabulary(mask_classes=2))
    seen: list[torch.Tensor] = []
    network.unet.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    masks = torch.zeros(1, 3, 16, 16)
    masks[:, 1, :4, :2] = 1
    network(torch.zeros(1, 2, 4, 4), torch.zeros(1), Condition(torch.zeros(1, 0).long(), torch.zeros(1, 0), masks))
    assert seen[0][0, 3, 0].tolist() == [0.5, 0, 0, 0]


def test_sizes_that_do_not_fit_are_told_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"images are 16×12, .* multiples of 8 \(8, 16, …\)"):
        fit(tiny_spec("latent_edm"), tmp_path, toy_volumes(shape=(16, 12)))
    judge = AutoencoderSpec(channels=(8, 16), discriminator_layers=3)
    with pytest.raises(UserError, match="discriminator needs sides of at least 24"):
        fit(tiny_spec("latent_edm", autoencoder=judge), tmp_path, toy_volumes(shape=(16, 16)))
    assert not (tmp_path / "autoencoder").exists()


def test_weights_of_another_autoencoder_are_refused(trained: tuple[str, Path]) -> None:
    kind, folder = trained
    spec = tiny_spec(kind, autoencoder=AutoencoderSpec(channels=(16, 16), latent_channels=2, discriminator_layers=1))
    with pytest.raises(UserError, match=r"trained with other settings than generator\.autoencoder"):
        spec.build().load(folder, CPU)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValidationError, match="a latent has no range"):
        LatentEdmSpec(sampling=SamplingSpec(clip=True))
    with pytest.raises(ValidationError, match="multiples of norm_groups"):
        AutoencoderSpec(channels=(12,))
