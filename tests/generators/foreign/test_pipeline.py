"""diffusers pipelines: what is sampled is what diffusers samples, and what needs text, code or a network is refused."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from synthassay.errors import UserError
from synthassay.generators.foreign.specs import DiffusersSpec
from synthassay.seeding import noise_per_sample, torch_generator
from tests.generators.foreign.made_up import Hostile, like, sampler_of, write_pipeline

diffusers = pytest.importorskip("diffusers")
SEEDS = np.array([3, 14, 15], np.int64)


def pipeline(root, **settings):
    return DiffusersSpec(path=str(root), sample_batch=3, **settings)


def edit(path, **entries):
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def further(seeds):
    return [torch_generator("sample", "diffusers", "steps", int(seed)) for seed in seeds]


def test_images_are_those_of_ddpm_pipeline(tmp_path, monkeypatch):
    root = write_pipeline(tmp_path / "pipe")
    images = sampler_of(pipeline(root), tmp_path / "card").sample(SEEDS, {})
    theirs = diffusers.DDPMPipeline.from_pretrained(root)
    theirs.set_progress_bar_config(disable=True)
    noise = noise_per_sample(SEEDS, (1, 16, 16), "diffusers")
    monkeypatch.setattr("diffusers.pipelines.ddpm.pipeline_ddpm.randn_tensor", lambda *_, **__: noise)
    drawn = theirs(batch_size=3, generator=further(SEEDS), num_inference_steps=6, output_type="np").images
    assert images.std() > 0.01
    np.testing.assert_allclose(images, drawn.transpose(0, 3, 1, 2), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "arguments", "settings"),
    [("DDIMScheduler", {}, {"eta": 1.0}), ("PNDMScheduler", {}, {}), ("DPMSolverMultistepScheduler", {}, {}),
     ("EulerDiscreteScheduler", {}, {}), ("EulerAncestralDiscreteScheduler", {}, {}), ("HeunDiscreteScheduler", {}, {}),
     ("UniPCMultistepScheduler", {}, {}),
     ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, {})],
)  # fmt: skip
def test_an_image_depends_on_its_seed_only(name, arguments, settings, tmp_path):
    scheduler = getattr(diffusers, name)(num_train_timesteps=100, **arguments)
    root = write_pipeline(tmp_path / "pipe", scheduler=scheduler)
    sampler = sampler_of(pipeline(root, steps=5, **settings), tmp_path / "card")
    together, again = sampler.sample(SEEDS, {}), sampler.sample(SEEDS, {})
    alone = np.concatenate([sampler.sample(SEEDS[i : i + 1], {}) for i in (2, 0, 1)])[[1, 2, 0]]
    assert (together == again).all()
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert np.abs(together[0] - together[1]).max() > 0.01


def test_latents_are_decoded_and_classes_followed(tmp_path):
    root = write_pipeline(tmp_path / "pipe", latent=True, classes=3)
    spec = pipeline(root, labels={"no finding": 2, "lesion": 0})
    seeds = np.array([5, 5, 6], np.int64)
    images = sampler_of(spec, tmp_path / "card").sample(seeds, {"label": np.array([0, 1, 1])})
    assert images.shape == (3, 1, 16, 16)
    assert np.abs(images[0] - images[1]).max() > 1e-4
    unet = diffusers.UNet2DModel.from_pretrained(root / "unet").eval()
    decoder = diffusers.AutoencoderKL.from_pretrained(root / "vae").eval()
    scheduler = diffusers.DDPMScheduler.from_pretrained(root / "scheduler")
    scheduler.set_timesteps(6)
    drawn = noise_per_sample(seeds, (2, 8, 8), "diffusers")
    generators = further(seeds)
    with torch.no_grad():
        for time in scheduler.timesteps:
            output = unet(drawn, time, class_labels=torch.tensor([2, 0, 0])).sample
            drawn = scheduler.step(output, time, drawn, generator=generators).prev_sample
        drawn = decoder.decode(drawn / decoder.config.scaling_factor).sample
    np.testing.assert_allclose(images, (drawn / 2 + 0.5).clamp(0, 1).numpy(), atol=1e-4)


def test_a_lone_network_with_its_scheduler(tmp_path):
    root = write_pipeline(tmp_path / "pipe")
    wanted = sampler_of(pipeline(root), tmp_path / "a").sample(SEEDS, {})
    lone = tmp_path / "lone"
    lone.mkdir()
    for path in [*(root / "unet").iterdir(), *(root / "scheduler").iterdir()]:
        (lone / path.name).write_bytes(path.read_bytes())
    assert (sampler_of(pipeline(lone), tmp_path / "b").sample(SEEDS, {}) == wanted).all()


def test_colour_for_a_grey_cohort(tmp_path):
    root = write_pipeline(tmp_path / "pipe", channels=3)
    with pytest.raises(UserError, match="channels=match"):
        sampler_of(pipeline(root), tmp_path / "a")
    with pytest.raises(UserError, match="draws colour images"):
        sampler_of(pipeline(root, channels="match"), tmp_path / "b").sample(SEEDS, {})


def test_another_size_is_resampled_when_asked(tmp_path):
    root = write_pipeline(tmp_path / "pipe")
    cohort = like(3, 8, 16)
    settings = {"channels": "match", "resize": True}
    images = sampler_of(pipeline(root, **settings), tmp_path / "card", cohort).sample(SEEDS, {})
    assert images.shape == (3, 3, 8, 16)
    plain = sampler_of(pipeline(root), tmp_path / "plain").sample(SEEDS, {})
    np.testing.assert_allclose(images, np.repeat(plain[:, :, 4:12], 3, axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("index", "words"),
    [({"_class_name": "StableDiffusionPipeline", "tokenizer": ["transformers", "CLIPTokenizer"]},
      ["tokenizer", "StableDiffusionPipeline"]),
     ({"transformer": ["diffusers", "DiTTransformer2DModel"]}, ["transformer"]),
     ({"unet": [None, None]}, ["without unet"])],
)  # fmt: skip
def test_other_pipelines_are_refused_by_name(index, words, tmp_path):
    root = write_pipeline(tmp_path / "pipe")
    edit(root / "model_index.json", **index)
    with pytest.raises(UserError) as caught:
        sampler_of(pipeline(root), tmp_path / "card")
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("file", "entries", "message"),
    [("unet/config.json", {"_class_name": "UNet2DConditionModel"}, "'UNet2DConditionModel'"),
     ("unet/config.json", {"quantization_config": {"quant_method": "x"}}, "quantization_config"),
     ("unet/config.json", {"block_out_channels": [8, 24]}, "has the shape"),
     ("unet/config.json", {"layers_per_block": 2}, "unet has no 'down_blocks"),
     ("unet/config.json", {"sample_size": None}, "sample_size"),
     ("scheduler/scheduler_config.json", {"_class_name": "../evil"}, "_class_name '../evil'")],
)  # fmt: skip
def test_configurations_that_do_not_fit(file, entries, message, tmp_path):
    root = write_pipeline(tmp_path / "pipe")
    edit(root / file, **entries)
    with pytest.raises(UserError, match=message):
        sampler_of(pipeline(root), tmp_path / "card")


def test_names_of_older_diffusers(tmp_path):
    root = write_pipeline(tmp_path / "pipe")
    wanted = sampler_of(pipeline(root), tmp_path / "a").sample(SEEDS, {})
    path = root / "unet" / "diffusion_pytorch_model.safetensors"
    old = (("to_out.0", "proj_attn"), ("to_q", "query"), ("to_k", "key"), ("to_v", "value"))
    state = {}
    for key, value in load_file(path).items():
        for new, before in old:
            key = key.replace(new, before)
        state[key] = value
    assert any("proj_attn" in key for key in state)
    save_file(state, path)
    assert (sampler_of(pipeline(root), tmp_path / "b").sample(SEEDS, {}) == wanted).all()


def test_pickles_are_not_even_opened(tmp_path):
    root = write_pipeline(tmp_path / "pipe")
    path = root / "unet" / "diffusion_pytorch_model.safetensors"
    path.unlink()
    torch.save({"x": Hostile(tmp_path / "ran")}, path.with_suffix(".bin"))
    with pytest.raises(UserError, match=r"safe_serialization=True"):
        sampler_of(pipeline(root), tmp_path / "card")
    assert not (tmp_path / "ran").exists()


def test_truncated_weights(tmp_path):
    root = write_pipeline(tmp_path / "pipe")
    path = root / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged"):
        sampler_of(pipeline(root), tmp_path / "card")


def test_a_wrong_digest(tmp_path):
    root = write_pipeline(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"not among generator\.sha256"):
        sampler_of(pipeline(root, sha256=("1" * 64,)), tmp_path / "card")


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    root = write_pipeline(tmp_path / "pipe")
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UserError, match=r"pip install 'synthassay\[diffusers\]'"):
        sampler_of(pipeline(root), tmp_path / "card")
