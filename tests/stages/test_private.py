"""What private trainings promise becomes results, and a section of the report."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from synthassay.records import MetricResult
from synthassay.reports.data import CohortSummary, LossCurve, ReportData, SetSummary
from synthassay.reports.private import private_findings, private_section
from synthassay.reports.release import for_audience
from synthassay.reports.select import Results
from synthassay.stages.private import promises

PROMISED = {
    "epsilon": 2.99, "delta": 1e-3, "noise": 1.5, "clip": 1.0, "sample_rate": 0.2, "steps": 100, "patients": 100,
    "accountant": "prv", "secure": True, "unit": "patient", "neighbours": "one patient added or removed",
}  # fmt: skip


def trained(folder: Path, **changes: object) -> Any:
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps({"family": "edm"} | changes))
    return SimpleNamespace(path=folder)


def rows(folder: Path, secure: bool = True) -> list[MetricResult]:
    return promises(
        {"dp": trained(folder / "dp", privacy=PROMISED | {"secure": secure}), "open": trained(folder / "open")}
    )


def test_results_carry_epsilon_delta_and_how_they_came_about(tmp_path: Path) -> None:
    epsilon, delta = rows(tmp_path)
    assert (epsilon.generator, epsilon.metric, epsilon.value, epsilon.status) == ("dp", "dp_epsilon", 2.99, "ok")
    assert (delta.metric, delta.value, delta.n_patients) == ("dp_delta", 1e-3, 100)
    assert ("unit", "patient") in epsilon.identity
    assert ("delta", "0.001") in epsilon.identity  # budgets at another δ are not ranked with it
    for part in ("100 steps", "noise 1.5", "clip 1", "sampling rate 0.2", "accountant prv"):
        assert part in epsilon.note


def test_a_seeded_training_proves_less(tmp_path: Path) -> None:
    epsilon, _ = rows(tmp_path, secure=False)
    assert epsilon.status == "descriptive"
    assert "whoever knows it" in epsilon.note


def test_pre_training_is_named_and_an_autoencoder_with_it(tmp_path: Path) -> None:
    first, second = {"name": "phantom", "content_id": "a"}, {"name": "clinic", "content_id": "b"}
    start = {"privacy": PROMISED, "initial_weights": "00", "trained_on": [first, second]}
    cards = {
        "plain": {"privacy": PROMISED, "trained_on": [second]},
        "edm": start,
        "latent": start | {"latent_shape": [2, 4, 4]},
        "old": {"privacy": PROMISED, "initial_weights": "00"},
    }
    found = promises({name: trained(tmp_path / name, **card) for name, card in cards.items()})
    notes = {row.generator: row.note for row in found if row.metric == "dp_epsilon"}
    assert "started with" not in notes["plain"]
    assert "it started with weights that were trained, without this guarantee, on phantom;" in notes["edm"]
    assert "autoencoder" not in notes["edm"]
    assert "its autoencoder was trained on phantom and not changed" in notes["latent"]
    assert "clinic" not in notes["latent"]
    assert "on images that its card does not name" in notes["old"]


def report(results: list[MetricResult], **changes: Any) -> ReportData:
    sets = [SetSummary(name=name, origin="generator", images=9, units=9) for name in ("dp", "open")]
    cohort = CohortSummary(name="c", label="l", positive="p", patients=200, images=400, shape=(1, 8, 8), bits=8)
    return ReportData(title="t", run_id="r", seed=0, cohort=cohort, sets=sets, results=results, **changes)


def fidelity(generator: str, value: float) -> MetricResult:
    return MetricResult(
        family="fidelity", metric="kid", generator=generator, encoder="e", variant="patient-aware", reference="test",
        value=value, ci_low=value - 0.1, ci_high=value + 0.1, floor=0.0, higher_is_better=False,
    )  # fmt: skip


def test_the_report_shows_the_promise_and_fidelity_against_epsilon(tmp_path: Path) -> None:
    found = [*rows(tmp_path, secure=False), fidelity("dp", 0.9), fidelity("open", 0.4)]
    results = Results(found, report(found))
    section = private_section(results)
    assert section is not None
    assert section.promises.rows[0].cells[0].text == "dp"
    (panel,) = section.panels
    assert "∞" in panel.svg
    assert "KID" in panel.title
    (finding,) = private_findings(results)
    assert "ε = 2.99" in finding.text
    assert "seed" in finding.text
    without = [fidelity("dp", 0.9)]
    assert private_section(Results(without, report(without))) is None


@pytest.mark.parametrize(("audience", "shown"), [("internal", ["dp", "open"]), ("release", ["open"])])
def test_a_release_has_no_losses_of_private_trainings(audience: Any, shown: list[str], tmp_path: Path) -> None:
    losses = [LossCurve(generator=name, columns={"step": [1.0], "loss": [2.0]}) for name in ("dp", "open")]
    data = for_audience(report(rows(tmp_path), audience=audience, losses=losses))
    assert [curve.generator for curve in data.losses] == shown
