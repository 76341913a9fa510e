"""Compilation: when it is wanted, and what happens where it fails."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from synthassay.generators.devices import compiled, tuned, wants_compiling


def test_auto_compiles_long_trainings_on_a_gpu_only() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert wants_compiling("auto", cuda, 2000)
    assert not wants_compiling("auto", cuda, 1999)
    assert not wants_compiling("auto", cpu, 10**6)
    assert wants_compiling("graphs", cuda, 1) == "graphs"
    assert wants_compiling(True, cpu, 1)


class FailsBackwards(torch.autograd.Function):
    @staticmethod
    def forward(context: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(context: object, *gradients: Tensor) -> Tensor:
        raise RuntimeError("no backward kernel")


def compile_to(monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor]) -> None:
    monkeypatch.setattr(torch, "compile", lambda losses, **settings: lambda x: change(losses(x)))


def test_a_backward_pass_that_fails_is_found_before_training(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compile_to(monkeypatch, FailsBackwards.apply)
    net = nn.Linear(2, 1)
    losses = compiled(net, True, net.parameters(), torch.ones(3, 2))
    assert losses is net
    assert "torch.compile failed (RuntimeError)" in caplog.text


def test_a_full_memory_is_no_failure_of_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Tensor) -> Tensor:
        raise torch.OutOfMemoryError

    compile_to(monkeypatch, full)
    net = nn.Linear(2, 1)
    with pytest.raises(torch.OutOfMemoryError):
        compiled(net, True, net.parameters(), torch.ones(3, 2))


def test_trying_leaves_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_to(monkeypatch, lambda losses: losses)
    net = nn.Linear(2, 1)
    assert compiled(net, True, net.parameters(), torch.ones(3, 2)) is not net
    assert net.weight.grad is None


def test_cudnn_tries_algorithms_in_a_training_on_a_gpu_only() -> None:
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark
    with tuned(torch.device("cuda")):
        assert cudnn.benchmark
    assert cudnn.benchmark == before
    with tuned(torch.device("cpu")):
        assert cudnn.benchmark == before
