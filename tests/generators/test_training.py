"""The training loop's parts: schedules, averages, batches, scaling, checkpoints."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Vocabulary
from synthassay.generators.diffusion.family_specs import EdmSpec
from synthassay.generators.specs import TrainingSpec
from synthassay.generators.training.checkpoint import (
    Checkpoint,
    LossTable,
    load_checkpoint,
    read_tensors,
    save_checkpoint,
)
from synthassay.generators.training.data import TrainingData
from synthassay.generators.training.learner import Average, ema_decay
from synthassay.generators.training.loop import Pace, laid_out, step_generator
from synthassay.generators.training.rates import learning_rate
from synthassay.generators.training.scaling import Standardiser
from synthassay.records import ImageSet

CPU = torch.device("cpu")


def images(n: int = 10, dtype: str = "uint8", channels: int = 2) -> ImageSet:
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, top, (n, channels, 4, 4), dtype=dtype, endpoint=True)
    ids = np.arange(n).astype(str)
    return ImageSet(
        name="t", origin="real", pixels=pixels, ids=ids, patients=ids, labels=np.arange(n, dtype=np.int64) % 3,
        label_names=("a", "b", "c"),
    )  # fmt: skip


def test_a_loss_that_joins_in_later_is_nan_before_and_so_is_one_that_is_left_out() -> None:
    table = LossTable()
    for step, values in enumerate([{"a": 1.0}, {"b": 2.0, "a": 3.0}, {"b": 4.0}], 1):
        table.append(step, values)
    assert table.to_csv() == "step,a,b\n1,1,nan\n2,3,2\n3,nan,4\n"


def data(subject: ImageSet, seed: int = 0) -> TrainingData:
    return TrainingData.of(subject, Vocabulary.of(subject, ["label"]), Standardiser.of(subject), seed, CPU)


def test_learning_rate_warms_up_and_falls_to_0_after_the_last_step() -> None:
    spec = TrainingSpec(steps=100, learning_rate=1.0, warmup_steps=10)
    assert learning_rate(spec, 0) == pytest.approx(0.1)
    assert learning_rate(spec, 50) == pytest.approx(0.5)
    assert 0 < learning_rate(spec, 99) < 1e-3
    constant = TrainingSpec(steps=100, learning_rate=1.0, warmup_steps=0, schedule="constant")
    assert {learning_rate(constant, k) for k in (0, 50, 99)} == {1.0}


def test_the_average_halves_a_weight_within_its_half_life() -> None:
    spec = TrainingSpec(batch_size=10, ema_half_life=200, ema_ramp=0.5)
    assert ema_decay(spec, 10_000) ** 20 == pytest.approx(0.5)  # 20 steps of 10 images
    assert ema_decay(spec, 10) ** 5 == pytest.approx(0.5)  # after 100 images the half-life is 50


def test_an_average_follows_parameters_and_copies_buffers() -> None:
    average, live = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    nn.init.constant_(live.weight, 3.0)
    live.running_mean.fill_(7.0)  # type: ignore[union-attr]
    Average(average, live, lambda step: 0.75).follow(1)
    assert average.weight.tolist() == [1.5, 1.5]
    assert average.running_mean.tolist() == [7.0, 7.0]  # type: ignore[union-attr]


def test_batches_depend_on_seed_and_step_only_and_show_every_image_once_an_epoch() -> None:
    subject = images(10)
    rows = [data(subject).rows(step, 4) for step in range(5)]
    assert sorted(np.concatenate(rows)[:10].tolist()) == list(range(10))
    assert sorted(np.concatenate(rows)[10:].tolist()) == list(range(10))
    running = data(subject)
    np.testing.assert_array_equal([running.rows(step, 4) for step in range(5)], rows)
    assert not np.array_equal(data(subject, seed=1).rows(0, 4), rows[0])


def test_a_batch_larger_than_the_set_repeats_images_evenly() -> None:
    counts = np.bincount(data(images(3)).rows(0, 9), minlength=3)
    assert counts.tolist() == [3, 3, 3]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_batches_are_standardised_and_come_back(dtype: str) -> None:
    subject = images(12, dtype)
    drawn = data(subject)
    batch, condition = drawn.batch(drawn.rows(0, 12))
    assert batch.dtype == torch.float32
    torch.testing.assert_close(batch.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(batch.std((0, 2, 3), correction=0), torch.full((2,), 0.5), atol=1e-5, rtol=0)
    rows = drawn.rows(0, 12)
    back = drawn.standardiser.inverse(batch).numpy() * subject.pixel_max
    np.testing.assert_array_equal(np.rint(back).astype(dtype), subject.pixels[rows])
    np.testing.assert_array_equal(condition.codes[:, 0].numpy(), 1 + subject.labels[rows])


def test_a_constant_channel_is_refused() -> None:
    subject = images()
    subject.pixels[:, 1] = 9
    with pytest.raises(UserError, match="channel 1 of the training images is constant"):
        Standardiser.of(subject)


def test_a_fused_optimiser_gets_gradients_in_the_layout_of_their_parameters() -> None:
    gradient = torch.arange(6.0).view(3, 2).T - 2.5  # of a parameter [2, 3], but transposed in memory
    steps = []
    for fused in (False, True):
        parameter = nn.Parameter(torch.zeros(2, 3))
        parameter.grad = laid_out(gradient, parameter)
        torch.optim.AdamW([parameter], lr=1.0, weight_decay=0.0, fused=fused).step()
        steps.append(parameter.detach())
    torch.testing.assert_close(*steps)
    torch.testing.assert_close(steps[0], -gradient.sign())
    aligned = gradient.contiguous()
    assert laid_out(aligned, parameter) is aligned


def test_the_draws_of_a_step_have_their_own_generator() -> None:
    first, again, other = (torch.randn(3, generator=step_generator(0, step, CPU)) for step in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_checkpoints_fall_due_by_steps_and_by_time() -> None:
    pace = Pace(steps=10, seconds=1e9)
    pace.wrote(20, 0.0)
    assert not pace.due(29)
    assert pace.due(30)
    hurried = Pace(steps=10**9, seconds=0.0)
    hurried.wrote(0, 0.0)
    assert hurried.due(1)
    hurried.wrote(1, 1e6)  # a disk this slow is written to less often
    assert not hurried.due(2)


def state(folder: Path, steps: list[int]) -> tuple[nn.Linear, torch.optim.Adam]:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in steps:
        module(torch.ones(1, 3)).sum().backward()
        optimiser.step()
    losses = LossTable(("loss",), steps, [(1 / step,) for step in steps])
    save_checkpoint(folder, Checkpoint("abc", steps[-1], losses), {"m": module}, {"m": optimiser})
    return module, optimiser


def test_a_checkpoint_restores_weights_optimiser_and_losses(tmp_path: Path) -> None:
    module, optimiser = state(tmp_path, [1, 2, 3])
    fresh = nn.Linear(3, 2)
    other = torch.optim.Adam(fresh.parameters(), lr=0.1)
    found = load_checkpoint(tmp_path, "abc", {"m": fresh}, {"m": other})
    assert found is not None
    assert found.step == 3
    assert found.losses == LossTable(("loss",), [1, 2, 3], [(1.0,), (0.5,), (1 / 3,)])
    for network, adam in ((module, optimiser), (fresh, other)):
        adam.zero_grad()
        network(torch.ones(1, 3)).sum().backward()
        adam.step()
    assert torch.equal(module.weight, fresh.weight)


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, "abc", {}, {}) is None
    state(tmp_path, [1])
    with pytest.raises(UserError, match="other settings, seed or images"):
        load_checkpoint(tmp_path, "abd", {}, {})
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"\x80\x04not tensors")
    with pytest.raises(UserError, match="is damaged"):
        read_tensors(path)


def test_equal_states_are_equal_bytes_and_leave_no_temporary_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        state(tmp_path / name, [1, 2])
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["checkpoint.safetensors", "losses.csv"]
    for path in (tmp_path / "a").iterdir():
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / "a/losses.csv").read_text() == "step,loss\n1,1\n2,0.5\n"


@pytest.mark.parametrize("flushed", [0, 2])  # the table of losses is flushed first, and its folder
def test_a_failed_write_keeps_the_file_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushed: int) -> None:
    state(tmp_path, [1])
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    flushes = iter([None] * flushed)

    def full(*_: object) -> None:
        if next(flushes, True):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        state(tmp_path, [1, 2])
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob(".*.tmp"))


def test_a_condition_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="names a column twice"):
        EdmSpec(condition_on=("label", "label"))


def test_standardising_in_place_gives_the_same_bits() -> None:
    subject = images(50)
    standardiser = Standardiser.of(subject)
    values = torch.from_numpy(subject.pixels.astype(np.float32)) / subject.pixel_max
    expected = standardiser.forward(values)
    assert torch.equal(standardiser.forward_(values), expected)
