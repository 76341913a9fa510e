"""The stage *score*: the real sides' neighbour graphs stay in the store for other generators and other runs."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from synthassay.metrics import graph
from synthassay.metrics.specs import FidelitySpec
from synthassay.records import SilentProgress
from synthassay.stages.context import RunContext
from synthassay.stages.score import Scorer
from synthassay.store.store import Store
from tests.features.sets import CPU
from tests.metrics.conftest import Cohort

SPEC = FidelitySpec(replicates=20, permutations=100, groups=(), set_level=())


@pytest.fixture
def features():
    cohort = Cohort()
    real = {"test": cohort.real("test", 40, 3), "control": cohort.real("control", 30, 3),
            "generator-train": cohort.real("generator-train", 50, 3)}  # fmt: skip
    sets = real | {name: cohort.synthetic(name, 90) for name in ("gan", "vae")}
    return {name: replace(held, content_id=f"images of {name}") for name, held in sets.items()}


def scored(root, features, name):
    context = RunContext(SimpleNamespace(seed=0), Store(root), root, CPU, SilentProgress())
    return Scorer(context, features, SPEC).score(name, train_known=True)


def test_another_generator_in_another_run_finds_the_real_graphs(tmp_path, features, monkeypatch):
    plain = {name: scored(tmp_path / "plain", features, name) for name in ("gan", "vae")}
    assert not (tmp_path / "plain" / "graph").exists()  # too small to be worth a file
    monkeypatch.setattr(graph, "WORTH", 0)
    assert scored(tmp_path / "kept", features, "gan") == plain["gan"]
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept" / "graph").iterdir()}
    assert len(made) == 3  # test, generator-train and control
    monkeypatch.setattr(graph, "_arrays", lambda _: pytest.fail("a graph was made anew"))
    assert scored(tmp_path / "kept", features, "vae") == plain["vae"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "kept" / "graph").iterdir()} == made
