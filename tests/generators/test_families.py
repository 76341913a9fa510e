"""What all trained families promise: resume, seeds, conditions, files, messages."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from synthassay.errors import UserError
from synthassay.generators.diffusion.specs import SamplingSpec
from synthassay.records import SilentProgress
from tests.generators import families
from tests.generators.families import CPU, DIFFUSION, FAMILIES, StopAt, family, fit, losses, tiny, toy_images

pytestmark = pytest.mark.usefixtures("one_thread")


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
        import torch
        from pathlib import Path
        found = importlib.util.spec_from_file_location("toys", sys.argv[1])
        toys = importlib.util.module_from_spec(found)
        found.loader.exec_module(toys)
        class Slow(toys.SilentProgress):
            def advance(self, n=1):
                time.sleep(0.2)
        torch.set_num_threads(1)
        toys.fit(toys.tiny("edm", steps=40), Path(sys.argv[2]), progress=Slow())
    """
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), families.__file__, str(folder)])
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


@pytest.mark.parametrize("kind", FAMILIES)
def test_training_key_ignores_what_only_matters_when_sampling(kind: str) -> None:
    spec = tiny(kind)
    later = spec.model_copy(update={"name": "other", "images": 7, "sample_batch": 9})
    assert later.training_key() == spec.training_key()
    assert tiny(kind, steps=9).training_key() != spec.training_key()
    if kind in DIFFUSION:
        assert spec.model_copy(update={"sampling": SamplingSpec(steps=9)}).training_key() == spec.training_key()
