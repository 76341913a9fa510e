"""A latent family that starts with a given autoencoder: plainly, and privately, which it has to."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Vocabulary
from synthassay.generators.latent.encoding import encoded
from synthassay.generators.latent.family import LatentFamily
from synthassay.generators.training.data import TrainingData
from synthassay.generators.training.guarantee import spent
from synthassay.generators.training.initial import initial_digest
from synthassay.generators.training.private_specs import DpSpec
from synthassay.generators.training.scaling import Standardiser
from synthassay.records import ImageSet, SilentProgress
from tests.generators.families import CPU, losses
from tests.generators.toys import tiny_spec, toy_volumes

pytestmark = pytest.mark.usefixtures("one_thread")
DP = DpSpec(epsilon=None, noise=1.0, patients=4, views=2, accountant="rdp")
KINDS = ("latent_edm", "latent_flow")


def images(brightness: int, n: int = 12) -> ImageSet:
    """Another cohort than the public one: so much darker or brighter, two images a patient."""
    subject = toy_volumes(n, (16, 16))
    pixels = np.clip(subject.pixels.astype(int) + brightness, 0, 255).astype(np.uint8)
    patients = np.array([f"p{i // 2}" for i in range(n)])
    return replace(subject, name="own", pixels=pixels, patients=patients, content_id="")


def fit(folder: Path, subject: ImageSet, kind: str = "latent_edm", **changes: object) -> dict:
    spec = tiny_spec(kind, first=2, **{"steps": 3, **changes})
    spec.build().fit(subject, folder, seed=3, resources=CPU, progress=SilentProgress())
    return json.loads((folder / "model.json").read_text())


@pytest.fixture(scope="module", params=KINDS)
def public(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, dict]:
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, fit(folder, replace(toy_volumes(12, (16, 16)), name="public"), request.param)


def test_the_autoencoder_and_all_scales_come_from_the_public_images(
    public: tuple[str, Path, dict], tmp_path: Path
) -> None:
    kind, source, before = public
    card = fit(tmp_path, images(-20), kind, init_from=source, private=DP)
    for key in ("mean", "std", "latent_mean", "latent_std"):
        assert card[key] == before[key], key
    assert "reconstruction_error" not in card  # it would tell of the patients
    weights = "autoencoder/model.safetensors"
    assert (tmp_path / weights).read_bytes() == (source / weights).read_bytes()
    assert not (tmp_path / "autoencoder" / "losses.csv").exists()
    assert [row["name"] for row in card["trained_on"]] == ["public", "own"]
    assert card["privacy"]["patients"] == 6
    assert card["privacy"]["epsilon"] == pytest.approx(spent("rdp", card["privacy"]["delta"], 1.0, 4 / 6, 3))
    assert set(losses(tmp_path)) == {"step", "loss", "clipped"}
    spec = tiny_spec(kind, init_from=source, private=DP)
    drawn = spec.build().load(tmp_path, CPU).sample(np.arange(3), {"label": np.arange(3) % 2})
    assert drawn.shape == (3, 1, 16, 16)
    assert np.isfinite(drawn).all()


def test_other_private_images_change_nothing_but_the_weights(public: tuple[str, Path, dict], tmp_path: Path) -> None:
    kind, source, _ = public
    cards = [fit(tmp_path / str(k), images(k), kind, init_from=source, private=DP) for k in (-40, 10)]
    for card in cards:
        card["trained_on"].pop()
        del card["fingerprint"]
    assert cards[0] == cards[1]
    weights = [(tmp_path / str(k) / "model.safetensors").read_bytes() for k in (-40, 10)]
    assert weights[0] != weights[1]


def test_the_latent_of_a_patient_does_not_depend_on_who_else_is_there(
    public: tuple[str, Path, dict], tmp_path: Path
) -> None:
    kind, source, card = public
    family = tiny_spec(kind).build()
    assert isinstance(family, LatentFamily)
    autoencoder = family._read(source / "autoencoder", (1, 16, 16), torch.device("cpu"))
    scale = Standardiser(tuple(card["mean"]), tuple(card["std"]))
    latents = []
    for n in (12, 7):
        subject = images(0).take(np.arange(12 - n, 12))
        data = TrainingData.of(subject, Vocabulary.of(subject, ["label"]), scale, 0, torch.device("cpu"))
        latents.append(encoded(autoencoder, data, tmp_path, f"{n}", "float32", 1).latents)
    assert torch.equal(latents[0][-7:], latents[1])


def test_without_privacy_a_given_autoencoder_is_kept_too(public: tuple[str, Path, dict], tmp_path: Path) -> None:
    kind, source, before = public
    card = fit(tmp_path, images(-20), kind, init_from=source)
    assert card["latent_mean"] == before["latent_mean"]
    assert 0 < card["reconstruction_error"] < 1
    assert card["initial_weights"] == initial_digest(source)


def test_what_is_missing_is_said(public: tuple[str, Path, dict], tmp_path: Path) -> None:
    kind, source, _ = public
    with pytest.raises(ValidationError, match=f"generator={kind}.*\\n?.*generator.init_from=RUN"):
        tiny_spec(kind, private=DP)
    with pytest.raises(UserError, match="trained on the images that private=dp is to protect"):
        fit(tmp_path / "a", toy_volumes(12, (16, 16)), kind, init_from=source, private=DP)
    bare = tmp_path / "bare"
    shutil.copytree(source, bare)
    shutil.rmtree(bare / "autoencoder")
    with pytest.raises(UserError, match=f"holds no autoencoder/.*\nGive a finished training of {kind}"):
        fit(tmp_path / "b", images(0), kind, init_from=bare, private=DP)


def test_another_autoencoder_is_another_start(public: tuple[str, Path, dict], tmp_path: Path) -> None:
    _, source, _ = public
    other = tmp_path / "other"
    shutil.copytree(source, other)
    assert initial_digest(other) == initial_digest(source)
    weights = other / "autoencoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert initial_digest(other) != initial_digest(source)
