"""``synthassay selftest``: its table and exit codes."""

import math
from collections.abc import Iterator

import pytest

from synthassay.cli.main import main
from synthassay.metrics.selftest import run
from synthassay.metrics.selftest.checks import Check, Place, exact


def install(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    def case(place: Place) -> Iterator[Check]:
        assert place.device == "cpu"
        yield from checks

    original = run.run_selftest
    monkeypatch.setattr(run, "run_selftest", lambda device: original(device, {"a known case": case}))


def test_it_prints_case_metric_expected_found_and_result(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch, exact("kid", -13.0, -13.0, "by hand"), exact("recall", 0.75, 0.7512, "3/4", 0.02))
    assert main(["selftest", "--device", "cpu"]) == 0
    shown = capsys.readouterr()
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert lines[0] == "Case and metric Expected Found Result From"
    assert lines[2:5] == ["a known case", "KID −13 −13 pass by hand", "Recall 0.75 ± 0.02 0.7512 pass 3/4"]
    assert "2 of 2 checks passed on cpu" in shown.out
    assert "numpy" in lines[-1]
    assert shown.err.startswith("running the metrics")


@pytest.mark.parametrize("found", [0.5, math.nan])
def test_one_failure_gives_exit_code_1(found: float, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    install(monkeypatch, exact("kid", 0.0, 0.0, "zero"), exact("recall", 1.0, found, "one"))
    assert main(["selftest", "--device=cpu"]) == 1
    shown = capsys.readouterr().out
    assert shown.count("FAIL") == 1
    assert "1 of 2 checks passed" in shown


@pytest.mark.parametrize("arguments", [["cpu"], ["--device"], ["--device", "tpu"], ["--device", "cpu", "more"]])
def test_other_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", *arguments]) == 2
    assert "cpu" in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_no_silent_cpu(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["selftest", "--device", "cuda"]) == 2
    assert "no CUDA GPU" in capsys.readouterr().err
