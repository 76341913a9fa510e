"""Batches that a GPU's memory does not hold, and images that it does not hold. The errors are pretended, on the CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from synthassay.errors import UserError
from synthassay.generators.conditioning.condition import Vocabulary
from synthassay.generators.memory import Memory, rows_that_fit
from synthassay.generators.sampling import BatchSampler
from synthassay.generators.training.data import Ahead, TrainingData
from synthassay.generators.training.learner import Losses
from synthassay.generators.training.micro import MicroBatches
from synthassay.generators.training.scaling import Standardiser
from synthassay.records import SilentProgress
from tests.generators.families import CPU, family, fit, tiny, toy_images

ROWS = 10


def table(folder: Path) -> np.ndarray:
    return np.loadtxt(folder / "losses.csv", delimiter=",", skiprows=1)


def squares(model: nn.Linear, batch: Tensor, room: int, asked: list[int]) -> object:
    """A loss over rows of ``batch`` that runs out of memory beyond ``room`` rows."""

    def loss(rows: slice) -> Losses:
        asked.append(len(batch[rows]))
        if asked[-1] > room:
            raise torch.OutOfMemoryError("pretended")
        value = model(batch[rows]).square().mean()
        return Losses(value, {"loss": value})

    return loss


def test_a_batch_that_does_not_fit_has_the_gradient_of_one_that_does_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    torch.manual_seed(0)
    model, batch = nn.Linear(4, 3), torch.randn(ROWS, 4)
    parameters = list(model.parameters())
    whole, shown = MicroBatches("x").gradients(parameters, squares(model, batch, ROWS, []), ROWS, ROWS)
    micro, asked = MicroBatches("x"), []
    for _ in range(3):
        parts, told = micro.gradients(parameters, squares(model, batch, 3, asked), ROWS, ROWS)
        for a, b in zip(whole, parts, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(shown, told)
    assert asked[:3] == [10, 5, 2]  # found out once
    assert micro.parts == 4
    assert caplog.text.count("worked in 4 parts") == 1
    assert len(caplog.records) == 2  # in 2, in 4


def test_a_single_row_that_does_not_fit_is_a_message() -> None:
    model, batch = nn.Linear(4, 3), torch.randn(3, 4)
    with pytest.raises(UserError, match=r"x: the GPU's memory does not hold.*single image.\nChoose smaller"):
        MicroBatches("x").gradients(list(model.parameters()), squares(model, batch, 0, []), 3, 3)


@pytest.mark.parametrize("kind", ["edm", "gan", "vae"])
def test_a_family_trains_in_parts_to_the_same_losses(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(tiny(kind, steps=4), tmp_path / "whole")
    plain = MicroBatches._sum

    def cramped(self: MicroBatches, *arguments: object) -> object:
        if self.parts < 4:
            raise torch.OutOfMemoryError("pretended")
        return plain(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(MicroBatches, "_sum", cramped)
    fit(tiny(kind, steps=4), tmp_path / "parts")
    whole, parts = (
        np.loadtxt(tmp_path / name / "losses.csv", delimiter=",", skiprows=1) for name in ("whole", "parts")
    )
    np.testing.assert_allclose(parts, whole, rtol=1e-4)


def sampler(room: int, drawn: list[int], memory: Memory | None = None) -> BatchSampler:
    images = toy_images()
    standardiser = Standardiser.of(images)

    def draw(noise: object, condition: object) -> Tensor:
        start = noise(0)  # type: ignore[operator]
        drawn.append(len(start))
        if len(start) > room:
            raise torch.OutOfMemoryError("pretended")
        return start

    return BatchSampler(
        draw=draw, noise_shape=(1, 16, 16), purpose="x", vocabulary=Vocabulary.of(images, ["label"]),
        standardiser=standardiser, image_shape=(1, 16, 16), rows=8, device=torch.device("cpu"), memory=memory, most=32,
    )  # fmt: skip


def test_sampling_halves_its_batch_until_it_fits_and_draws_the_same_images(caplog: pytest.LogCaptureFixture) -> None:
    seeds, conditions = np.arange(13), {"label": np.arange(13) % 2}
    drawn: list[int] = []
    images = sampler(3, drawn).sample(seeds, conditions)
    np.testing.assert_allclose(images, sampler(8, []).sample(seeds, conditions))
    assert drawn[:3] == [8, 4, 2]
    assert set(drawn[2:]) == {2}
    assert "drawn 2 at a time" in caplog.text
    with pytest.raises(UserError, match="does not hold the sampling of a single image"):
        sampler(0, []).sample(seeds, conditions)


class Pretended:
    """A memory in which a row takes 10 bytes and ``free`` bytes are left; says how often it was watched."""

    def __init__(self, free: int) -> None:
        self.left, self.watched = free, 0

    def watch(self) -> None:
        self.watched += 1

    def taken(self) -> int:
        return 8 * 10

    def free(self) -> int:
        return self.left


@pytest.mark.parametrize(
    ("free", "drawn"),
    [
        (250, [8, 16, 16, 16, 8]),  # room for 20, of which multiples of 8 are asked for
        (10_000, [8, 32, 24]),  # the most that is asked for; the last is filled up to a multiple of 8
        (10, [8] * 8),  # what has fitted once
    ],
)
def test_sampling_grows_to_what_the_memory_holds_and_draws_the_same_images(free: int, drawn: list[int]) -> None:
    seeds, conditions = np.arange(61), {"label": np.arange(61) % 2}
    found: list[int] = []
    memory = Pretended(free)
    growing = sampler(100, found, memory)
    assert growing.batch_size == 8
    images = growing.sample(seeds, conditions)
    np.testing.assert_allclose(images, sampler(8, []).sample(seeds, conditions))
    assert (found, growing.batch_size, memory.watched) == (drawn, max(drawn), 1)


def test_sampling_that_grew_too_far_is_halved_and_one_that_did_not_fit_at_all_does_not_grow() -> None:
    seeds, conditions = np.arange(61), {"label": np.arange(61) % 2}
    found: list[int] = []
    too_far = sampler(20, found, Pretended(10_000))
    np.testing.assert_allclose(too_far.sample(seeds, conditions), sampler(8, []).sample(seeds, conditions))
    assert (found, too_far.batch_size) == ([8, 32, 16, 16, 16, 8], 16)
    small = sampler(5, [], Pretended(10_000))
    small.sample(seeds, conditions)
    assert small.room == 4


def test_rows_that_fit_keep_a_margin_and_to_the_most() -> None:
    assert rows_that_fit(8, 80, 1000, 10_000) == 80
    assert rows_that_fit(8, 80, 1000, 50) == 50
    assert rows_that_fit(8, 80, 1000, 4) == 8
    assert rows_that_fit(8, 0, 1000, 50) == 8  # nothing was seen


def test_batches_that_are_gathered_ahead_are_those_that_are_not() -> None:
    images = toy_images()
    vocabulary, standardiser = Vocabulary.of(images, ["label"]), Standardiser.of(images)
    plain, ahead = (TrainingData.of(images, vocabulary, standardiser, 0, torch.device("cpu")) for _ in range(2))
    assert plain.ahead is None
    ahead.ahead = Ahead()
    part = slice(1, 5)
    for step in (0, 1, 2, 5):  # the last is not what was expected
        rows = plain.rows(step, 6)[part]
        expected, condition = plain.batch(rows)
        found, also = ahead.batch(rows)
        assert torch.equal(found, expected)
        assert all(torch.equal(a, b) for a, b in zip(also, condition, strict=True))
        ahead.expect(step + 1, 6, part)
        assert ahead.ahead.rows is not None
        assert ahead.ahead.rows.tolist() == plain.rows(step + 1, 6)[part].tolist()


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["edm", "gan", "vae"])
def test_images_that_do_not_lie_on_the_gpu_train_to_the_same_losses(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")
    resources = CPU.model_copy(update={"device": "cuda"})
    for name, share in (("resident", 0.25), ("streamed", 0.0)):
        monkeypatch.setattr("synthassay.generators.training.data.RESIDENT_SHARE", share)
        family(tiny(kind)).fit(toy_images(), tmp_path / name, seed=0, resources=resources, progress=SilentProgress())
    tables = [
        np.loadtxt(tmp_path / name / "losses.csv", delimiter=",", skiprows=1) for name in ("resident", "streamed")
    ]
    np.testing.assert_allclose(*tables, rtol=1e-3)
