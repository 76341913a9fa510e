"""The overfitted reference is caught: a positive control of the detector that went through a real training."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from synthassay.generators.networks.specs import UNetSpec
from synthassay.generators.overfit import few_images
from synthassay.generators.overfit_specs import OverfitSpec
from synthassay.generators.specs import TrainingSpec
from synthassay.privacy.detector import calibrate
from synthassay.privacy.memorisation import assess
from synthassay.privacy.spaces import pixel_space
from synthassay.privacy.specs import MemorisationSpec
from synthassay.records import SilentProgress
from synthassay.specs import Resources
from tests.privacy.conftest import image_set

CPU = Resources(device="cpu")


def overfit() -> OverfitSpec:
    network = UNetSpec(patch=4, channels=(32, 64), res_blocks=(1, 1), attention=(False, True))
    training = TrainingSpec(steps=500, batch_size=4, learning_rate=3e-3, schedule="constant", snapshots=1, log_every=50)
    return OverfitSpec(train_images=4, network=network, training=training)


@pytest.fixture(scope="module")
def drawn(world, tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("overfit")
    family = overfit().build()
    family.fit(world.train, folder, seed=0, resources=CPU, progress=SilentProgress())
    images = family.load(folder, CPU).sample(np.arange(48), {})
    pixels = np.rint(np.clip(images[:, 0], 0, 1) * 255).astype(np.uint8)
    return image_set("overfit", pixels, np.array([f"overfit-{i}" for i in range(48)]))


def row(results, metric):
    return next(r for r in results if r.metric == metric and r.variant == "" and r.group == "all")


def test_copies_are_found_far_above_those_of_the_oracle(world, drawn):
    calibration = calibrate([world.references()], MemorisationSpec(replicates=200), 0)
    oracle = replace(world.control_b, name="oracle")
    found = assess(calibration, (pixel_space(drawn),), 0).results
    honest = assess(calibration, (pixel_space(oracle),), 0).results
    copies, of_oracle = row(found, "copies_per_1000"), row(honest, "copies_per_1000")
    assert copies.value > 500
    assert copies.ci_low > 10 * of_oracle.ci_high
    assert row(found, "memorisation_verdict").value == 1.0
    assert row(honest, "memorisation_verdict").value != 1.0


def test_the_copies_are_of_the_few_patients_that_it_saw(world, drawn):
    seen = set(few_images(world.train, 4, 0).patients.tolist())
    outcome = assess(calibrate([world.references()], MemorisationSpec(replicates=200), 0), (pixel_space(drawn),), 0)
    nearest = world.train.patients[outcome.rows[outcome.flagged]]
    assert np.isin(nearest, list(seen)).mean() > 0.9


def test_patients_are_taken_whole_as_far_as_they_fit_and_by_the_seed_only(world):
    few = few_images(world.train, 5, 0)
    for patient in np.unique(few.patients):
        assert (few.patients == patient).sum() == (world.train.patients == patient).sum()
    assert 4 <= len(few) <= 5
    renamed = replace(world.train, patients=np.array([f"z{p[::-1]}" for p in world.train.patients]), content_id="")
    assert few_images(renamed, 5, 0).ids.tolist() == few.ids.tolist()
    assert few_images(world.train, 5, 1).ids.tolist() != few.ids.tolist()
    alone = few_images(world.train.take(world.train.patients == world.train.patients[0]), 1, 0)
    assert len(alone) == (world.train.patients == world.train.patients[0]).sum()
