"""MONAI bundles: what is sampled is what MONAI samples, and nothing in a bundle is executed."""

import json
import shutil
import zipfile

import numpy as np
import pytest
import torch
from monai.inferers import DiffusionInferer, LatentDiffusionInferer
from monai.networks.nets import AutoencoderKL, DiffusionModelUNet
from monai.networks.schedulers import DDIMScheduler

from synthassay.errors import UserError
from synthassay.generators.foreign.specs import MonaiBundleSpec
from synthassay.seeding import noise_per_sample
from tests.generators.foreign.made_up import CPU, ENCODER, UNET, Hostile, like, sampler_of, write_bundle

SEEDS = np.array([3, 14, 15], np.int64)
LABELS = {"no finding": 1, "lesion": 0}


def bundle(root, **settings):
    return MonaiBundleSpec(path=str(root), sample_batch=2, **settings)


def edit(root, **entries):
    path = root / "configs" / "inference.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def expected(root, noise):
    """Images in [0, 1] by MONAI's own inferer, from the range −2..2 that the bundle states."""
    network = DiffusionModelUNet(2, 1, 1, **UNET).eval()
    network.load_state_dict(torch.load(root / "models" / "model.pt"))
    scheduler = DDIMScheduler(num_train_timesteps=20)
    scheduler.set_timesteps(3)
    drawn = DiffusionInferer(scheduler).sample(noise, network, verbose=False)
    return ((drawn + 2) / 4).clamp(0, 1).numpy()


def test_images_are_those_of_monais_inferer(tmp_path):
    root = write_bundle(tmp_path / "bundle")
    images = sampler_of(bundle(root), tmp_path / "card").sample(SEEDS, {})
    assert images.std() > 0.01
    np.testing.assert_allclose(images, expected(root, noise_per_sample(SEEDS, (1, 16, 16), "monai_bundle")), atol=1e-5)


def test_latent_images_are_those_of_monais_inferer(tmp_path):
    root = write_bundle(tmp_path / "bundle", latent=True, scale_factor=0.5)
    images = sampler_of(bundle(root), tmp_path / "card").sample(SEEDS, {})
    network, decoder = DiffusionModelUNet(2, 2, 2, **UNET).eval(), AutoencoderKL(2, **ENCODER).eval()
    network.load_state_dict(torch.load(root / "models" / "model.pt"))
    decoder.load_state_dict(torch.load(root / "models" / "model_autoencoder.pt"))
    scheduler = DDIMScheduler(num_train_timesteps=20)
    scheduler.set_timesteps(3)
    noise = noise_per_sample(SEEDS, (2, 8, 8), "monai_bundle")
    drawn = LatentDiffusionInferer(scheduler, scale_factor=0.5).sample(noise, decoder, network, verbose=False)
    np.testing.assert_allclose(images, ((drawn + 2) / 4).clamp(0, 1).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "scheduler",
    [{"_target_": "monai.networks.schedulers.DDPMScheduler", "num_train_timesteps": 4},
     {"_target_": "generative.networks.schedulers.PNDMScheduler", "num_train_timesteps": 20, "skip_prk_steps": True,
      "beta_schedule": "scaled_linear"},
     {"_target_": "RFlowScheduler", "num_train_timesteps": 20, "use_timestep_transform": True, "spatial_dim": 2,
      "base_img_size_numel": 65536}],
    ids=["ddpm", "pndm", "rflow"],
)  # fmt: skip
def test_an_image_depends_on_its_seed_only(scheduler, tmp_path):
    root = write_bundle(tmp_path / "bundle", scheduler=scheduler, set_timesteps="$None")
    sampler = sampler_of(bundle(root, steps=4), tmp_path / "card")
    together, again = sampler.sample(SEEDS, {}), sampler.sample(SEEDS, {})
    alone = np.concatenate([sampler.sample(SEEDS[i : i + 1], {}) for i in (2, 0, 1)])[[1, 2, 0]]
    assert (together == again).all()
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert np.abs(together[0] - together[1]).max() > 0.01


def test_classes_follow_the_labels(tmp_path):
    root = write_bundle(tmp_path / "bundle", classes=2)
    sampler = sampler_of(bundle(root, labels=LABELS), tmp_path / "card")
    seeds = np.array([5, 5], np.int64)
    images = sampler.sample(seeds, {"label": np.array([0, 1])})
    swapped = sampler.sample(seeds, {"label": np.array([1, 0])})
    assert np.abs(images[0] - images[1]).max() > 1e-3
    np.testing.assert_allclose(images, swapped[::-1], atol=1e-5)
    network = DiffusionModelUNet(2, 1, 1, num_class_embeds=2, **UNET).eval()
    network.load_state_dict(torch.load(root / "models" / "model.pt"))
    scheduler = DDIMScheduler(num_train_timesteps=20)
    scheduler.set_timesteps(3)
    drawn = noise_per_sample(seeds[:1], (1, 16, 16), "monai_bundle")
    for time in scheduler.timesteps:
        with torch.no_grad():
            output = network(drawn, time[None], class_labels=torch.tensor([LABELS["no finding"]]))
        drawn, _ = scheduler.step(output, time, drawn)
    np.testing.assert_allclose(images[:1], ((drawn + 2) / 4).clamp(0, 1).numpy(), atol=1e-5)
    with pytest.raises(UserError, match="no label"):
        sampler.sample(seeds, {"label": np.array([0, -1])})


def test_volumes_in_the_cohorts_order_of_axes(tmp_path):
    root = write_bundle(tmp_path / "bundle", dims=3, latent_shape=[1, 4, 8, 6])
    cohort = like(1, 6, 8, 4)
    plain = sampler_of(bundle(root), tmp_path / "plain", like(1, 4, 8, 6)).sample(SEEDS, {})
    ras = sampler_of(bundle(root, axes=("-w", "-h", "d")), tmp_path / "ras", cohort).sample(SEEDS, {})
    np.testing.assert_array_equal(ras, plain[:, :, ::-1, ::-1].transpose(0, 1, 4, 3, 2))


def test_safetensors_and_zips_draw_the_same(tmp_path):
    first = sampler_of(bundle(write_bundle(tmp_path / "one")), tmp_path / "a").sample(SEEDS, {})
    root = write_bundle(tmp_path / "two", pickled=False)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for path in root.rglob("*.*"):
            archive.write(path, path.relative_to(tmp_path))
    for place in (root, tmp_path / "two.zip"):
        assert (sampler_of(bundle(place), tmp_path / f"card of {place.name}").sample(SEEDS, {}) == first).all()


def test_weights_of_monai_generative_are_renamed(tmp_path):
    root = write_bundle(tmp_path / "bundle")
    wanted = sampler_of(bundle(root), tmp_path / "a").sample(SEEDS, {})
    path = root / "models" / "model.pt"
    old = {}
    for key, value in torch.load(path).items():
        key = key.replace(".attn.out_proj.", ".proj_attn.").replace(".attn.to_", ".to_").replace("postconv", "conv")
        old[key] = value
    torch.save({"state_dict": {f"module.{key}": value for key, value in old.items()}}, path)
    unet = json.loads((root / "configs" / "inference.json").read_text())["network_def"]
    unet = {**unet, "_target_": "generative.networks.nets.DiffusionModelUNet", "num_channels": unet["channels"]}
    edit(root, network_def={key: value for key, value in unet.items() if key != "channels"})
    assert (sampler_of(bundle(root), tmp_path / "b").sample(SEEDS, {}) == wanted).all()


def test_noise_and_steps_are_read_from_plain_text(tmp_path):
    root = write_bundle(
        tmp_path / "bundle", latent_shape=None, image_dim=16, noise="$torch.rand(1,1,@image_dim,@image_dim)  # noise",
        set_timesteps="$@noise_scheduler.set_timesteps(num_inference_steps=@n)", n=3,
    )  # fmt: skip
    images = sampler_of(bundle(root), tmp_path / "card").sample(SEEDS, {})
    np.testing.assert_allclose(images, expected(root, noise_per_sample(SEEDS, (1, 16, 16), "monai_bundle")), atol=1e-5)


@pytest.mark.parametrize(
    ("entries", "words"),
    [({"latent_shape": "$__import__('os').system('touch EVIDENCE')"}, ["latent_shape", "executed"]),
     ({"spatial_dims": "$__import__('os').system('touch EVIDENCE') or 2"}, ["network_def.spatial_dims", "executed"]),
     ({"network_def": {"_target_": "os.system", "command": "touch EVIDENCE"}}, ["network_def", "'os.system'"]),
     ({"noise_scheduler": {"_target_": "builtins.exec"}}, ["noise_scheduler", "builtins.exec"]),
     ({"network_def": {"_target_": "monai.networks.nets.SPADEDiffusionModelUNet"}}, ["network_def", "SPADE"]),
     ({"a": "@b", "b": "@a", "spatial_dims": "@a"}, ["back to itself"]),
     ({"spatial_dims": "@nowhere#3"}, ["'@nowhere#3'", "leads nowhere"]),
     ({"spatial_dims": "%other.json#x"}, ["spatial_dims", "executed"]),
     ({"noise_scheduler": {"_target_": "DDIMScheduler", "num_train_timesteps": 1e300}}, ["num_train_timesteps"]),
     ({"noise_scheduler": {"_target_": "DDIMScheduler", "sneaky": 1}}, ["noise_scheduler.sneaky", "lacks"])],
)  # fmt: skip
def test_what_would_be_executed_is_refused_by_name(entries, words, tmp_path):
    evidence = tmp_path / "ran"
    text = json.dumps(entries).replace("EVIDENCE", str(evidence))
    root = write_bundle(tmp_path / "bundle", **json.loads(text))
    with pytest.raises(UserError) as caught:
        sampler_of(bundle(root), tmp_path / "card")
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert not evidence.exists()


def test_expressions_beside_what_is_needed_are_left_alone(tmp_path):
    evidence = tmp_path / "ran"
    root = write_bundle(tmp_path / "bundle", extra=f"$__import__('os').system('touch {evidence}')")
    sampler_of(bundle(root), tmp_path / "card")
    assert not evidence.exists()


def test_a_pickle_with_code_is_not_loaded(tmp_path):
    root = write_bundle(tmp_path / "bundle")
    torch.save({"x": Hostile(tmp_path / "ran")}, root / "models" / "model.pt")
    with pytest.raises(UserError, match=r"(?s)execute code.*safetensors.*generator=external"):
        sampler_of(bundle(root), tmp_path / "card")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("pickled", [True, False])
def test_truncated_weights(pickled, tmp_path):
    root = write_bundle(tmp_path / "bundle", pickled=pickled)
    (path,) = (root / "models").iterdir()
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UserError, match="damaged"):
        sampler_of(bundle(root), tmp_path / "card")


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"sha256": "0" * 64}, "not among generator.sha256"),
     ({"labels": LABELS}, "takes no class"),
     ({"shape": (3, 16, 16)}, "Correct generator.shape"),
     ({"shape": (1, 15, 15)}, "generator.shape"),
     ({"shape": (1, 32, 32)}, "generator.resize=true"),
     ({"steps": 21}, "at most 20"),
     ({"axes": ("d", "h", "w")}, "names 3 axes"),
     ({"network_weights": "../../secret.pt"}, "no such file"),
     ({"config": "../metadata"}, "has no configs/"),
     ({"max_bytes": 1 << 12}, "generator.max_bytes")],
)  # fmt: skip
def test_settings_that_do_not_fit(settings, message, tmp_path):
    root = write_bundle(tmp_path / "bundle")
    with pytest.raises(UserError, match=message):
        sampler_of(bundle(root, **settings), tmp_path / "card")


@pytest.mark.parametrize(
    ("labels", "message"),
    [(None, "which class each"), ({"lesion": 2}, "classes 0 to 1"), ({"tumour": 0}, "cohort's labels are")],
)
def test_labels_that_do_not_fit(labels, message, tmp_path):
    root = write_bundle(tmp_path / "bundle", classes=2)
    with pytest.raises(UserError, match=message):
        sampler_of(bundle(root, labels=labels), tmp_path / "card")


def test_the_first_mismatch_is_named(tmp_path):
    root = write_bundle(tmp_path / "bundle")
    state = torch.load(root / "models" / "model.pt")
    first, second = list(state)[:2]
    for changed, message in (
        ({k: v for k, v in state.items() if k != first}, f"has no '{first}'"),
        ({**state, second: torch.zeros(3)}, f"'{second}' has the shape \\[3\\]"),
        ({**state, "more": torch.zeros(3)}, "has 'more', which the network does not"),
    ):
        torch.save(changed, root / "models" / "model.pt")
        with pytest.raises(UserError, match=message):
            sampler_of(bundle(root), tmp_path / "card")


def test_ddpm_cannot_skip_steps(tmp_path):
    scheduler = {"_target_": "DDPMScheduler", "num_train_timesteps": 8}
    root = write_bundle(tmp_path / "bundle", scheduler=scheduler)
    with pytest.raises(UserError, match="exactly 8 steps"):
        sampler_of(bundle(root), tmp_path / "card")


def test_an_unstated_range_is_asked_for(tmp_path):
    root = write_bundle(tmp_path / "bundle")
    (root / "configs" / "metadata.json").write_text("{}")
    with pytest.raises(UserError, match=r"generator\.range"):
        sampler_of(bundle(root), tmp_path / "card")
    sampler_of(bundle(root, range=(0.0, 1.0)), tmp_path / "card")


def test_a_computed_scale_factor_is_asked_for(tmp_path):
    root = write_bundle(tmp_path / "bundle", latent=True, scale_factor="$1 / torch.std(@z)")
    with pytest.raises(UserError, match=r"generator\.scale_factor=NUMBER"):
        sampler_of(bundle(root), tmp_path / "card")


def test_files_that_change_under_way(tmp_path):
    root = write_bundle(tmp_path / "bundle")
    spec = bundle(root)
    sampler_of(spec, tmp_path / "card")
    edit(root, n=4)
    with pytest.raises(UserError, match="changed"):
        spec.build().load(tmp_path / "card", CPU)


def test_the_key_holds_content_and_no_path(tmp_path):
    root = write_bundle(tmp_path / "bundle")
    spec = bundle(root, sha256="0" * 64, trained_on="patients.txt")
    assert str(tmp_path) not in json.dumps(spec.to_key())
    assert "sha256" not in spec.to_key()
    before = spec.build().digest()
    shutil.move(root, tmp_path / "moved")
    assert bundle(tmp_path / "moved").build().digest() == before
    edit(tmp_path / "moved", n=4)
    assert bundle(tmp_path / "moved").build().digest() != before
