"""The families on a CUDA GPU: precision, resume, compilation, no waits."""

from pathlib import Path

import numpy as np
import pytest
import torch

from synthassay.generators.training.checkpoint import read_tensors
from synthassay.specs import Resources
from tests.generators.families import CPU, FAMILIES, StopAt, family, fit, losses, tiny

pytestmark = pytest.mark.usefixtures("one_thread")
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


@pytest.mark.gpu
@pytest.mark.parametrize("kind", FAMILIES)
def test_on_a_gpu_sampling_grows_to_the_memory_and_draws_the_same_images(kind: str, tmp_path: Path) -> None:
    spec = tiny(kind, precision="float32")
    fit(spec, tmp_path, resources=CUDA)
    seeds, conditions = np.arange(30), {"label": np.arange(30) % 2}
    fixed, growing = (family(spec).load(tmp_path, CUDA.model_copy(update={"sampling_rows": rows})) for rows in (1, 16))
    images = growing.sample(seeds, conditions)
    assert (fixed.batch_size, growing.batch_size) == (4, 16)  # tiny networks take next to nothing
    np.testing.assert_allclose(images, fixed.sample(seeds, conditions), atol=2e-3)  # TF32 may round either
    assert fixed.batch_size == 4
