"""A training that is told to end, finds a damaged checkpoint, or explodes."""

import os
import signal
from pathlib import Path

import pytest

from synthassay.errors import UserError
from synthassay.generators.specs import TrainingSpec
from synthassay.generators.training.checkpoint import CHECKPOINT, PREVIOUS, LossTable, read_tensors
from synthassay.generators.training.divergence import PATIENCE, windows_above
from synthassay.records import SilentProgress
from synthassay.specs import Resources
from synthassay.stopping import Stopped
from tests.generators.families import family, fit, tiny, toy_images

FILES = ("model.safetensors", "losses.csv", "checkpoint.safetensors")


class SignalAt(SilentProgress):
    """Sends this process a signal when ``step`` steps are done."""

    def __init__(self, step: int, number: signal.Signals = signal.SIGTERM) -> None:
        self.left, self.number = step, number

    def start(self, what: str, total: int, done: int = 0) -> None:
        self.left -= done

    def advance(self, n: int = 1) -> None:
        self.left -= n
        if self.left == 0:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
@pytest.mark.parametrize("kind", ["edm", "gan"])
def test_a_signal_writes_a_checkpoint_within_a_window_and_the_rest_ends_in_the_same_bits(
    kind: str, number: signal.Signals, tmp_path: Path
) -> None:
    spec = tiny(kind, log_every=4)  # step 3 is inside the first window: its losses travel in the checkpoint
    fit(spec, tmp_path / "whole")
    with pytest.raises(Stopped):
        fit(spec, tmp_path / "stopped", progress=SignalAt(3, number))
    assert read_tensors(tmp_path / "stopped" / CHECKPOINT)[1]["step"] == 3
    fit(spec, tmp_path / "stopped")
    for name in FILES:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes(), name


def test_a_launcher_that_queues_the_job_again_gets_its_signal_after_the_checkpoint(tmp_path: Path) -> None:
    """submitit's handler for SIGUSR2 queues the job and exits."""
    seen: list[bool] = []

    def requeue(number: int, frame: object) -> None:
        seen.append((tmp_path / CHECKPOINT).exists())
        raise SystemExit(-1)

    before = signal.signal(signal.SIGUSR2, requeue)
    try:
        with pytest.raises(SystemExit):
            fit(tiny("vae"), tmp_path, progress=SignalAt(3, signal.SIGUSR2))
        assert signal.getsignal(signal.SIGUSR2) == requeue
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert seen == [True]
    assert not (tmp_path / "model.safetensors").exists()


def stopped_at_seven(tmp_path: Path) -> Path:
    with pytest.raises(Stopped):
        fit(tiny("vae"), tmp_path / "stopped", progress=SignalAt(7))  # checkpoints of steps 4 and 7
    return tmp_path / "stopped"


def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fit(tiny("vae"), tmp_path / "whole")
    folder = stopped_at_seven(tmp_path)
    assert read_tensors(folder / PREVIOUS)[1]["step"] == 4
    (folder / CHECKPOINT).write_bytes((folder / CHECKPOINT).read_bytes()[:1000])
    fit(tiny("vae"), folder)
    assert "is damaged; training continues from the one before it" in caplog.text
    for name in FILES:
        assert (tmp_path / "whole" / name).read_bytes() == (folder / name).read_bytes(), name
    assert not (folder / PREVIOUS).exists()


def test_two_damaged_checkpoints_are_a_message(tmp_path: Path) -> None:
    folder = stopped_at_seven(tmp_path)
    for name in (CHECKPOINT, PREVIOUS):
        (folder / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"checkpoint.safetensors is damaged.*\nDelete it"):
        fit(tiny("vae"), folder)


def table(*values: float, name: str = "loss") -> LossTable:
    return LossTable((name,), list(range(1, len(values) + 1)), [(value,) for value in values])


def test_only_a_loss_far_above_its_start_for_long_is_an_explosion() -> None:
    assert windows_above(table(), 10) == 0
    assert windows_above(table(1.0, 0.2, 1.5, 3.0, 9.0), 10) == 0  # noisy, and worse than at first
    assert windows_above(table(1.0, 0.2, 1e3, 0.3, 1e3, 1e4), 10) == 2
    assert windows_above(table(1.0, 0.2, 1e3, 0.3, 1e3, 1e4), None) == 0
    assert windows_above(table(0.5, -3.0, -2.0, 20.0), 10) == 0  # a likelihood that fell by 3.5
    assert windows_above(table(0.5, -3.0, -2.0, 40.0), 10) == 1
    assert windows_above(table(0.7, 0.1, 50.0, 500.0, name="generator"), 10) == 0  # of a GAN


def test_an_explosion_stops_the_training_and_the_last_good_checkpoint_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synthassay.generators.vae import VaeLearner

    whole, calls = VaeLearner._loss, []

    def exploding(self: VaeLearner, *batch: object) -> object:
        calls.append(1)
        losses = whole(self, *batch)  # type: ignore[arg-type]
        factor = 1.0 if len(calls) <= 5 else 1e4
        return losses._replace(shown={name: 1 + factor * value.abs() for name, value in losses.shown.items()})

    monkeypatch.setattr(VaeLearner, "_loss", exploding)
    spec = tiny("vae", steps=40, log_every=1)
    with pytest.raises(UserError, match=r"far above where it began.*\nLower training.learning_rate \(now 0.002\)"):
        family(spec, every=1).fit(toy_images(), tmp_path, seed=0, resources=Resources(device="cpu"),
                                  progress=SilentProgress())  # fmt: skip
    assert len(calls) == 5 + PATIENCE
    assert read_tensors(tmp_path / CHECKPOINT)[1]["step"] == 5


def test_the_limit_of_an_explosion_is_in_no_key() -> None:
    assert tiny("vae", explosion=None).training_key() == tiny("vae").training_key()
    assert TrainingSpec().explosion == 10.0


def test_a_cuda_device_that_is_absent_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="device=cuda, but torch finds no CUDA GPU"):
        family(tiny("vae")).fit(toy_images(), tmp_path, seed=0, resources=Resources(device="cuda"),
                                progress=SilentProgress())  # fmt: skip
