"""medigan's zips: the weights are used, the code is not."""

import json

import numpy as np
import pytest
import torch
from monai.networks.nets import Generator
from pydantic import ValidationError
from safetensors.torch import save

from synthassay.errors import UserError
from synthassay.generators.foreign.specs import MediganSpec
from synthassay.seeding import noise_per_sample
from tests.generators.foreign.made_up import Hostile, dcgan_network, pickled, randomised, sampler_of, write_zip

SEEDS = np.array([3, 14, 15], np.int64)
MONAI = {"latent_shape": (6,), "start_shape": (4, 4, 4), "channels": (4, 1), "strides": (2, 2)}


def zipped(path, **settings):
    return MediganSpec(path=str(path), sample_batch=2, **settings)


def images_of(network, *noise):
    with torch.no_grad():
        return (network(noise_per_sample(SEEDS, noise, "medigan")) / 2 + 0.5).clamp(0, 1).numpy()


def test_a_dcgan_is_rebuilt_from_its_weights(tmp_path):
    network = dcgan_network()
    path = write_zip(tmp_path / "model.zip", dcgan__pt=pickled(network.state_dict()))
    images = sampler_of(zipped(path), tmp_path / "card").sample(SEEDS, {})
    assert images.std() > 0.01
    np.testing.assert_allclose(images, images_of(network, 12, 1, 1), atol=1e-5)
    assert not path.with_suffix(".ran").exists()


def test_layers_of_safetensors_stand_in_the_order_of_their_numbers(tmp_path):
    network = dcgan_network()
    names = {"c1": "main.0", "n1": "main.1", "c2": "main.9", "n2": "main.10", "c3": "main.11"}
    state = {f"{names[key.split('.')[0]]}.{key.split('.')[1]}": value for key, value in network.state_dict().items()}
    path = write_zip(tmp_path / "model.zip", dcgan__safetensors=save(state))
    images = sampler_of(zipped(path), tmp_path / "card").sample(SEEDS, {})
    np.testing.assert_allclose(images, images_of(network, 12, 1, 1), atol=1e-5)


def test_leakiness_and_output_are_settings(tmp_path):
    network = dcgan_network()
    path = write_zip(tmp_path / "model.zip", dcgan__pt=pickled(network.state_dict()))
    network.a1 = network.a2 = torch.nn.LeakyReLU(0.3)
    network.last = torch.nn.Sigmoid()
    spec = zipped(path, leakiness=0.3, output="sigmoid")
    np.testing.assert_allclose(
        sampler_of(spec, tmp_path / "card").sample(SEEDS, {}), images_of(network, 12, 1, 1), atol=1e-5
    )


def test_a_checkpoint_of_two_networks_and_the_config(tmp_path):
    network = dcgan_network()
    checkpoint = {"epoch": 300, "generator": network.state_dict(), "discriminator": {"w": torch.zeros(3)}}
    path = write_zip(tmp_path / "model.zip", dcgan__pt=pickled(checkpoint), other__pth=b"not this one")
    execution = {"model_name": "dcgan", "extension": ".pt", "generate_method": {"input_latent_vector_size": 12}}
    config = tmp_path / "global.json"
    config.write_text(json.dumps({"00001": {"execution": execution}}))
    named = {"config": str(config), "model_id": "00001"}
    with pytest.raises(UserError, match=r"(?s)'generator', 'discriminator'.*generator\.state=KEY"):
        sampler_of(zipped(path, **named), tmp_path / "a")
    images = sampler_of(zipped(path, state="generator", **named), tmp_path / "b").sample(SEEDS, {})
    np.testing.assert_allclose(images, images_of(network, 12, 1, 1), atol=1e-5)
    with pytest.raises(UserError, match=r"found: .*dcgan\.pt, .*other\.pth"):
        sampler_of(zipped(path, state="generator"), tmp_path / "c")
    execution["generate_method"]["input_latent_vector_size"] = 100
    config.write_text(json.dumps({"00001": {"execution": execution}}))
    with pytest.raises(UserError, match="100 numbers"):
        sampler_of(zipped(path, state="generator", **named), tmp_path / "d")


def test_monais_generator(tmp_path):
    network = randomised(Generator(**MONAI)).eval()
    path = write_zip(tmp_path / "model.zip", g__pt=pickled(network.state_dict()))
    spec = zipped(path, architecture="monai-generator", network=MONAI)
    images = sampler_of(spec, tmp_path / "card").sample(SEEDS, {})
    np.testing.assert_allclose(images, images_of(torch.nn.Sequential(network, torch.nn.Tanh()), 6), atol=1e-5)
    wrong = {**MONAI, "channels": (5, 1)}
    with pytest.raises(UserError, match="has the shape"):
        sampler_of(zipped(path, architecture="monai-generator", network=wrong), tmp_path / "wrong")
    with pytest.raises(UserError, match=r"first"):
        sampler_of(zipped(path), tmp_path / "no dcgan")


def test_a_pickle_with_code_is_not_loaded(tmp_path):
    path = write_zip(tmp_path / "model.zip", g__pt=pickled({"w": torch.zeros(3), "x": Hostile(tmp_path / "ran")}))
    with pytest.raises(UserError, match=r"(?s)execute code.*safetensors.*generator=external"):
        sampler_of(zipped(path), tmp_path / "card")
    assert not (tmp_path / "ran").exists()


def test_a_whole_network_in_a_pickle_is_not_loaded(tmp_path):
    path = write_zip(tmp_path / "model.zip", g__pt=pickled(dcgan_network()))
    with pytest.raises(UserError, match="execute code"):
        sampler_of(zipped(path), tmp_path / "card")


@pytest.mark.parametrize(
    "state",
    [{"fc.weight": torch.zeros(8, 4)}, {"c.weight": torch.zeros(12, 8, 4, 4), "d.weight": torch.zeros(4, 8, 4, 4)},
     {"c.weight": torch.zeros(12, 8, 4, 4), "d.weight": torch.zeros(8, 4, 3, 3)},
     {"c.weight": torch.zeros(12, 8, 4, 4), "c.weight_orig": torch.zeros(8)}],
    ids=["linear", "other widths", "odd kernel", "spectral norm"],
)  # fmt: skip
def test_weights_of_something_else(state, tmp_path):
    path = write_zip(tmp_path / "model.zip", g__pt=pickled(state))
    with pytest.raises(UserError, match=r"not a DCGAN|which the network does not"):
        sampler_of(zipped(path), tmp_path / "card")


def test_settings_that_contradict_each_other():
    with pytest.raises(ValidationError, match="architecture"):
        MediganSpec(architecture="monai-generator")
    with pytest.raises(ValidationError, match="belong together"):
        MediganSpec(model_id="00001")
