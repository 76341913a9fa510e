"""What all trained families promise: resume, seeds, conditions, files, messages."""

import csv
import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthassay.errors import UserError
from synthassay.generators.ddpm import DdpmFamily
from synthassay.generators.diffusion.family_specs import DdpmNoiseSpec, DdpmSpec, EdmNoiseSpec, EdmSpec, FlowSpec
from synthassay.generators.diffusion.specs import DDPM_SAMPLING, FLOW_SAMPLING, GuidanceSpec, SamplingSpec
from synthassay.generators.edm import EdmFamily
from synthassay.generators.family import Family
from synthassay.generators.flow import FlowFamily
from synthassay.generators.gan.family import GanFamily
from synthassay.generators.gan.specs import GanSpec, R3GanNetworkSpec
from synthassay.generators.networks.specs import MagnitudePreservingSpec, UNetSpec
from synthassay.generators.specs import GeneratorSpec, TrainingSpec, VaeNetworkSpec, VaeSpec
from synthassay.generators.training.checkpoint import read_tensors
from synthassay.generators.training.loop import Pace
from synthassay.generators.vae import VaeFamily
from synthassay.records import ImageSet, SilentProgress
from synthassay.specs import Resources

CPU = Resources(device="cpu")
FAMILIES = ("edm", "ddpm", "flow", "gan", "vae")
DIFFUSION = {"edm": EdmSpec, "ddpm": DdpmSpec, "flow": FlowSpec}
BUILD = {"edm": EdmFamily, "ddpm": DdpmFamily, "flow": FlowFamily, "gan": GanFamily, "vae": VaeFamily}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from threads, and lose much where other processes want the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def toy_images(n: int = 24, channels: int = 1, dtype: str = "uint8", size: int = 16) -> ImageSet:
    """Discs on a dark ground, dim for label 0 and bright for label 1; two sites."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % 2
    ramp = np.linspace(-1, 1, size)
    radius = random.uniform(0.4, 0.8, (n, 1, 1, 1))
    disc = (np.hypot(*np.meshgrid(ramp, ramp))[None, None] < radius) * (0.35 + 0.5 * labels[:, None, None, None])
    images = np.clip(0.1 + disc.repeat(channels, 1) + random.normal(0, 0.02, (n, channels, size, size)), 0, 1)
    ids = np.array([f"i{i}" for i in range(n)])
    return ImageSet(
        name="toy", origin="real", pixels=np.rint(images * np.iinfo(dtype).max).astype(dtype), ids=ids, patients=ids,
        labels=labels.astype(np.int64), label_names=("dim", "bright"),
        groups={"site": np.where(np.arange(n) % 3 == 0, "north", "south")},
    )  # fmt: skip


def tiny(kind: str, *, condition_on: tuple[str, ...] = ("label",), **training: object) -> GeneratorSpec:
    settings = {"steps": 8, "batch_size": 8, "warmup_steps": 4, "log_every": 2, "learning_rate": 2e-3, "snapshots": 2}
    settings |= {"gradient_clip": 0.0, "beta1": 0.0} if kind == "gan" else {}
    settings |= training
    common = {"condition_on": condition_on, "sample_batch": 4, "training": TrainingSpec(**settings)}
    if kind in DIFFUSION:
        noise = {"noise": DdpmNoiseSpec(prediction="v")} if kind == "ddpm" else {}
        network = UNetSpec(
            patch=2, channels=(8, 16), res_blocks=(1, 1), attention=(False, True), norm_groups=4, head_channels=8
        )
        sampling = {"edm": SamplingSpec(), "ddpm": DDPM_SAMPLING, "flow": FLOW_SAMPLING}[kind]
        return DIFFUSION[kind](network=network, sampling=sampling.model_copy(update={"steps": 6}), **noise, **common)
    if kind == "gan":
        network = R3GanNetworkSpec(
            patch=1, channels=(8, 16, 16), expansion=1, group_width=8, latent_size=8, embedding_size=8
        )
        return GanSpec(network=network, gamma=0.1, penalty_every=2, **common)
    network = VaeNetworkSpec(patch=1, channels=(8, 16), strides=(2, 2), norm_groups=4, latent_size=8)
    return VaeSpec(network=network, **common)


def family(spec: GeneratorSpec, every: int = 4) -> Family:
    return BUILD[str(spec.to_key()["kind"])](spec, Pace(steps=every))


def fit(
    spec: GeneratorSpec, folder: Path, images: ImageSet | None = None, progress: object = None,
    resources: Resources = CPU,
) -> None:  # fmt: skip
    family(spec).fit(images or toy_images(), folder, seed=3, resources=resources, progress=progress or SilentProgress())


def losses(folder: Path) -> dict[str, np.ndarray]:
    rows = list(csv.reader((folder / "losses.csv").open()))
    return dict(zip(rows[0], np.array(rows[1:], float).T, strict=True))


class StopAt(SilentProgress):
    """A progress whose ``advance`` raises when ``step`` steps are done."""

    def __init__(self, step: int) -> None:
        self.left = step

    def start(self, what: str, total: int, done: int = 0) -> None:
        self.left -= done

    def advance(self, n: int = 1) -> None:
        self.left -= n
        if self.left <= 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", FAMILIES)
def test_training_leaves_weights_card_losses_and_checkpoint_in_safe_formats_only(kind: str, tmp_path: Path) -> None:
    fit(tiny(kind), tmp_path)
    names = {"model.safetensors", "model.json", "losses.csv", "checkpoint.safetensors", "snapshots"}
    assert {path.name for path in tmp_path.iterdir()} == names
    card = json.loads((tmp_path / "model.json").read_text())
    assert card["family"] == kind
    assert card["shape"] == [1, 16, 16]
    assert card["conditions"] == {"named": ["label"], "known": [["0", "1"]], "measured": [], "mask_classes": 0}
    assert card["snapshots"] == [4, 8]
    assert losses(tmp_path)["step"].tolist() == [2, 4, 6, 8]


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("stop", [3, 7])
def test_interrupted_training_ends_in_the_bits_of_an_uninterrupted_one(kind: str, stop: int, tmp_path: Path) -> None:
    spec = tiny(kind)
    fit(spec, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(spec, tmp_path / "broken", progress=StopAt(stop))
    assert not (tmp_path / "broken" / "model.safetensors").exists()
    assert (tmp_path / "broken" / "checkpoint.safetensors").exists() == (stop > 4)
    fit(spec, tmp_path / "broken")
    for path in (path for path in (tmp_path / "whole").rglob("*") if path.is_file()):
        other = tmp_path / "broken" / path.relative_to(tmp_path / "whole")
        assert other.read_bytes() == path.read_bytes(), path.name


def test_training_killed_by_the_system_continues_to_the_same_bits(tmp_path: Path) -> None:
    script = """
        import importlib.util, sys, time
        from pathlib import Path
        found = importlib.util.spec_from_file_location("toys", sys.argv[1])
        toys = importlib.util.module_from_spec(found)
        found.loader.exec_module(toys)
        class Slow(toys.SilentProgress):
            def advance(self, n=1):
                time.sleep(0.2)
        toys.torch.set_num_threads(1)
        toys.fit(toys.tiny("edm", steps=40), Path(sys.argv[2]), progress=Slow())
    """
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), __file__, str(folder)])
    try:
        deadline = time.monotonic() + 300
        while not (folder / "checkpoint.safetensors").exists():
            assert process.poll() is None, "the training ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "model.safetensors").exists()
    fit(tiny("edm", steps=40), folder)
    fit(tiny("edm", steps=40), tmp_path / "whole")
    for name in ("model.safetensors", "losses.csv"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_finished_training_called_again_changes_nothing(kind: str, tmp_path: Path) -> None:
    fit(tiny(kind), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    fit(tiny(kind), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("kind", FAMILIES)
def test_another_seed_gives_other_weights_and_the_global_random_state_is_left_alone(kind: str, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    fit(tiny(kind, steps=2), tmp_path / "a")
    assert torch.equal(torch.get_rng_state(), state)
    family(tiny(kind, steps=2)).fit(toy_images(), tmp_path / "b", seed=4, resources=CPU, progress=SilentProgress())
    assert (tmp_path / "a/model.safetensors").read_bytes() != (tmp_path / "b/model.safetensors").read_bytes()


@pytest.mark.parametrize("kind", FAMILIES)
def test_image_i_depends_on_seed_i_and_its_condition_only(kind: str, tmp_path: Path) -> None:
    spec = tiny(kind, steps=40)
    fit(spec, tmp_path)
    sampler = family(spec).load(tmp_path, CPU)
    seeds, label = np.arange(10, 20), {"label": np.arange(10) % 2}
    images = sampler.sample(seeds, label)
    assert images.shape == (10, 1, 16, 16)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    rows = {"label": label["label"][4:6]}  # a resumed run: the same place in a batch, other rows beside it
    np.testing.assert_array_equal(sampler.sample(seeds[4:6], rows), images[4:6])
    order = np.random.default_rng(0).permutation(10)
    shuffled = sampler.sample(seeds[order], {"label": label["label"][order]})
    np.testing.assert_allclose(shuffled, images[order], atol=1e-4)
    assert np.abs(images[0] - images[2]).max() > 1e-3  # another seed, same label


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_condition_decides_what_is_drawn(kind: str, tmp_path: Path) -> None:
    spec = tiny(kind, steps=150, batch_size=16, log_every=30, learning_rate=1e-2 if kind == "vae" else 2e-3)
    fit(spec, tmp_path, toy_images(64))
    images = family(spec).load(tmp_path, CPU).sample(np.arange(32), {"label": np.arange(32) % 2})
    centre = images[:, 0, 6:10, 6:10].mean((1, 2))
    assert centre[1::2].mean() - centre[0::2].mean() > 0.15


@pytest.mark.parametrize("kind", ["edm", "ddpm", "flow", "vae"])
def test_the_loss_falls(kind: str, tmp_path: Path) -> None:
    fit(tiny(kind, steps=100, batch_size=16, log_every=10, learning_rate=5e-3), tmp_path)
    loss = losses(tmp_path)["loss"]
    assert loss[-1] < 0.7 * loss[0]


@pytest.mark.parametrize("kind", FAMILIES)
def test_any_pair_of_values_can_be_asked_for_and_anything_may_be_missing(kind: str, tmp_path: Path) -> None:
    images = toy_images()
    images = images.take((images.labels == 0) | (images.groups["site"] == "south"))  # no bright image from the north
    spec = tiny(kind, condition_on=("label", "site"), steps=2)
    fit(spec, tmp_path, images)
    sampler = family(spec).load(tmp_path, CPU)
    sites = np.array(["north", "south", ""])
    drawn = sampler.sample(np.arange(3), {"label": np.array([1, -1, 1]), "site": sites})
    assert np.isfinite(drawn).all()
    assert np.isfinite(sampler.sample(np.arange(1), {"label": np.array([1])})).all()
    assert np.isfinite(sampler.sample(np.arange(1), {})).all()
    with pytest.raises(UserError, match=r"site='east': the training images of this generator had no such value.*\n.*"
                                        "north; south"):  # fmt: skip
        sampler.sample(np.arange(1), {"label": np.array([1]), "site": np.array(["east"])})
    with pytest.raises(UserError, match="2 values for 1 images"):
        sampler.sample(np.arange(1), {"label": np.array([0, 0]), "site": sites[:1]})


@pytest.mark.parametrize("kind", FAMILIES)
def test_three_channels_sixteen_bits_no_condition_and_fewer_images_than_a_batch(kind: str, tmp_path: Path) -> None:
    spec = tiny(kind, condition_on=(), steps=2)
    fit(spec, tmp_path, toy_images(3, channels=3, dtype="uint16"))
    assert family(spec).load(tmp_path, CPU).sample(np.arange(2), {}).shape == (2, 3, 16, 16)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_size_that_cannot_be_halved_often_enough_is_refused_with_the_sizes_that_can(
    kind: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"18×18.*multiples of 4 \(16, 20, …\)"):
        fit(tiny(kind), tmp_path, toy_images(size=18))


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_diverging_training_says_what_to_change_and_keeps_the_last_good_checkpoint(kind: str, tmp_path: Path) -> None:
    spec = tiny(kind, steps=40, log_every=1, learning_rate=1e19, warmup_steps=0, gradient_clip=0.0, schedule="constant")
    with pytest.raises(UserError, match=rf"{kind}: training diverged.*\nLower training.learning_rate \(now 1e\+19\)"):
        family(spec, every=1).fit(toy_images(), tmp_path, seed=0, resources=CPU, progress=SilentProgress())
    assert not (tmp_path / "model.safetensors").exists()
    if (tmp_path / "checkpoint.safetensors").exists():
        assert np.isfinite(losses(tmp_path)["step"]).all()


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_work_folder_of_another_training_is_refused(kind: str, tmp_path: Path) -> None:
    fit(tiny(kind, steps=2), tmp_path)
    with pytest.raises(UserError, match="other settings, seed or images"):
        fit(tiny(kind, steps=4), tmp_path)
    with pytest.raises(UserError, match="other settings, seed or images"):
        fit(tiny(kind, steps=2), tmp_path, toy_images(20))


@pytest.mark.parametrize("kind", FAMILIES)
def test_damaged_absent_and_foreign_weights_are_refused(kind: str, tmp_path: Path) -> None:
    spec = tiny(kind, steps=2)
    with pytest.raises(UserError, match=r"no model.json in the folder of"):
        family(spec).load(tmp_path, CPU)
    fit(spec, tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"model.safetensors is damaged"):
        family(spec).load(tmp_path, CPU)
    weights.write_bytes(whole)
    other = tiny(FAMILIES[(FAMILIES.index(kind) + 1) % len(FAMILIES)])
    with pytest.raises(UserError, match="expected"):
        family(other).load(tmp_path, CPU)
    changed = spec.model_copy(update={"network": spec.network.model_copy(update={"channels": (16, 16, 32)[: len(spec.network.channels)]})})  # type: ignore[attr-defined]  # fmt: skip  # noqa: E501
    with pytest.raises(UserError, match="other network settings"):
        family(changed).load(tmp_path, CPU)


@pytest.mark.parametrize("kind", FAMILIES)
def test_bfloat16_autocast_trains_and_samples_close_to_float32(kind: str, tmp_path: Path) -> None:
    images = {}
    for precision in ("float32", "bfloat16"):
        spec = tiny(kind, steps=4, precision=precision)
        fit(spec, tmp_path / precision)
        images[precision] = (
            family(spec).load(tmp_path / precision, CPU).sample(np.arange(4), {"label": np.arange(4) % 2})
        )
    difference = np.abs(images["float32"] - images["bfloat16"])
    assert 0 < difference.mean() < 0.05


@pytest.mark.parametrize("kind", ["edm", "ddpm", "flow", "vae"])
def test_a_failing_compiler_is_said_and_training_goes_on_without(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object, **settings: object) -> object:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", broken)
    spec = tiny(kind, steps=2)
    fit(spec, tmp_path / "eager")
    fit(spec.model_copy(update={"compile": True}), tmp_path / "fallback")
    assert "torch.compile failed (RuntimeError)" in caplog.text
    assert (tmp_path / "eager/model.safetensors").read_bytes() == (tmp_path / "fallback/model.safetensors").read_bytes()


def edm2(**training: object) -> GeneratorSpec:
    network = MagnitudePreservingSpec(
        patch=2, channels=(8, 16), res_blocks=(1, 1), attention=(False, True), head_channels=8
    )
    spec = tiny("edm", learning_rate=1e-2, ema="power", schedule="inverse-sqrt", constant_steps=4, **training)
    return spec.model_copy(update={"network": network, "noise": EdmNoiseSpec(weighting="learnt")})


def test_edm2_trains_resumes_and_samples_an_average_of_any_width(tmp_path: Path) -> None:
    spec = edm2()
    fit(spec, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(spec, tmp_path / "broken", progress=StopAt(7))
    fit(spec, tmp_path / "broken")
    names = {"00000004.average.safetensors", "00000004.average-2.safetensors", "00000008.average-2.safetensors"}
    assert {path.name for path in (tmp_path / "whole/snapshots").iterdir()} == names
    for path in (path for path in (tmp_path / "whole").rglob("*") if path.is_file()):
        other = tmp_path / "broken" / path.relative_to(tmp_path / "whole")
        assert other.read_bytes() == path.read_bytes(), path.name
    seeds, label = np.arange(2), {"label": np.arange(2)}
    first = family(spec).load(tmp_path / "whole", CPU).sample(seeds, label)
    narrow = family(spec.model_copy(update={"ema_width": 0.05})).load(tmp_path / "whole", CPU).sample(seeds, label)
    np.testing.assert_allclose(narrow, first, atol=1e-4)  # the first average is the one of this width
    wide = family(spec.model_copy(update={"ema_width": 0.08})).load(tmp_path / "whole", CPU).sample(seeds, label)
    assert np.abs(wide - first).max() > 1e-4
    assert spec.model_copy(update={"ema_width": 0.08}).training_key() == spec.training_key()


def test_edm2_learns_the_condition(tmp_path: Path) -> None:
    spec = edm2(steps=150, batch_size=16, log_every=30)
    fit(spec, tmp_path, toy_images(64))
    images = family(spec).load(tmp_path, CPU).sample(np.arange(32), {"label": np.arange(32) % 2})
    centre = images[:, 0, 6:10, 6:10].mean((1, 2))
    assert centre[1::2].mean() - centre[0::2].mean() > 0.15


@pytest.mark.parametrize("guidance", ["cfg", "weaker"])
def test_guidance_pushes_the_conditions_apart_without_another_training(guidance: str, tmp_path: Path) -> None:
    spec = tiny("edm", steps=100, batch_size=16, log_every=50)
    fit(spec, tmp_path, toy_images(64))
    gap = {}
    for scale in (1.0, 3.0):
        sampling = SamplingSpec(steps=6, guidance=GuidanceSpec(kind=guidance, scale=scale))
        guided = spec.model_copy(update={"sampling": sampling})
        assert guided.training_key() == spec.training_key()
        images = family(guided).load(tmp_path, CPU).sample(np.arange(32), {"label": np.arange(32) % 2})
        centre = images[:, 0, 6:10, 6:10].mean((1, 2))
        gap[scale] = centre[1::2].mean() - centre[0::2].mean()
    assert gap[3.0] > gap[1.0]


def test_a_training_without_an_earlier_state_cannot_guide_by_it(tmp_path: Path) -> None:
    guidance = SamplingSpec(steps=6, guidance=GuidanceSpec(kind="weaker", scale=2.0))
    spec = tiny("edm", steps=2, snapshots=1).model_copy(update={"sampling": guidance})
    fit(spec, tmp_path)
    with pytest.raises(UserError, match=r"kind=weaker needs an earlier state.*\n.*snapshots of at least 2"):
        family(spec).load(tmp_path, CPU)


def test_volumes_masks_and_numbers_are_conditions_too(tmp_path: Path) -> None:
    flat = toy_images(12)
    volume = np.repeat(flat.pixels[:, :, None], 16, 2)
    masks = (volume[:, 0] > 90).astype(np.uint8)
    masks[3] = 255
    position = np.linspace(0, 1, 12, dtype=np.float32)
    position[5] = np.nan
    images = replace(
        flat, pixels=volume, masks=masks, mask_names=("ground", "disc"), covariates={"slice_position": position},
        content_id="",
    )  # fmt: skip
    for kind in ("edm", "flow", "vae"):
        spec = tiny(kind, steps=2, condition_on=("label", "slice_position", "mask"))
        fit(spec, tmp_path / kind, images)
        sampler = family(spec).load(tmp_path / kind, CPU)
        given = {"label": flat.labels[:3], "slice_position": position[:3], "mask": masks[:3]}
        drawn = sampler.sample(np.arange(3), given)
        assert drawn.shape == (3, 1, 16, 16, 16)
        assert np.isfinite(drawn).all()
        assert np.isfinite(sampler.sample(np.arange(3), {"label": flat.labels[:3]})).all()
        with pytest.raises(UserError, match="class 7 was not in the training masks"):
            sampler.sample(np.arange(3), given | {"mask": np.full_like(masks[:3], 7)})


@pytest.mark.parametrize("kind", FAMILIES)
def test_training_key_ignores_what_only_matters_when_sampling(kind: str) -> None:
    spec = tiny(kind)
    later = spec.model_copy(update={"name": "other", "images": 7, "sample_batch": 9})
    assert later.training_key() == spec.training_key()
    assert tiny(kind, steps=9).training_key() != spec.training_key()
    if kind in DIFFUSION:
        assert spec.model_copy(update={"sampling": SamplingSpec(steps=9)}).training_key() == spec.training_key()


CUDA = Resources(device="cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("kind", FAMILIES)
def test_a_gpu_trains_in_bfloat16_and_draws_what_a_cpu_draws_from_the_same_weights(kind: str, tmp_path: Path) -> None:
    spec = tiny(kind, steps=60, learning_rate=2e-3)
    fit(spec, tmp_path, resources=CUDA)
    if kind != "gan":
        loss = losses(tmp_path)["loss"]
        assert loss[-5:].mean() < loss[:5].mean()
    drawn = [family(spec).load(tmp_path, where).sample(np.arange(8), {"label": np.arange(8) % 2})
             for where in (CUDA, CPU)]  # fmt: skip
    assert np.abs(drawn[0] - drawn[1]).mean() < 0.05  # bfloat16 against float32


@pytest.mark.gpu
@pytest.mark.parametrize("kind", FAMILIES)
def test_on_a_gpu_resumed_training_ends_near_an_uninterrupted_one(kind: str, tmp_path: Path) -> None:
    spec = tiny(kind, precision="float32")
    fit(spec, tmp_path / "whole", resources=CUDA)
    with pytest.raises(KeyboardInterrupt):
        fit(spec, tmp_path / "broken", progress=StopAt(7), resources=CUDA)
    fit(spec, tmp_path / "broken", resources=CUDA)
    whole, broken = (read_tensors(tmp_path / name / "model.safetensors")[0] for name in ("whole", "broken"))
    for name, expected in whole.items():  # sums in any order; Adam makes a step of the sign of a tiny gradient
        assert (broken[name] - expected).abs().mean() < 2e-4, name  # a tenth of one step at the highest rate


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["edm", "ddpm", "flow", "vae"])
def test_on_a_gpu_compiled_training_has_the_losses_of_plain_training(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = tiny(kind, precision="float32")
    for compile_as in (False, True, "graphs"):
        fit(spec.model_copy(update={"compile": compile_as}), tmp_path / str(compile_as), resources=CUDA)
    assert "torch.compile failed" not in caplog.text
    plain = losses(tmp_path / "False")["loss"]
    for name in ("True", "graphs"):
        np.testing.assert_allclose(losses(tmp_path / name)["loss"], plain, rtol=2e-2)


@pytest.mark.gpu
@pytest.mark.parametrize("resident", [True, False])
def test_a_step_does_not_wait_for_the_gpu(resident: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not resident:
        monkeypatch.setattr("synthassay.generators.training.data.RESIDENT_SHARE", 0.0)
    from synthassay.generators.training.loop import Training

    step = Training._step

    def strict(self: Training, number: int) -> object:
        torch.cuda.set_sync_debug_mode("error" if number > 1 else "default")  # the first steps fill caches
        try:
            return step(self, number)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Training, "_step", strict)
    fit(tiny("edm"), tmp_path, resources=CUDA)
