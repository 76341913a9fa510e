"""A neighbour graph that is taken up again: nothing is computed anew, and no bit of a result changes."""

from dataclasses import replace

import numpy as np
import pytest

from synthassay.metrics import graph
from synthassay.metrics.cache import ReferenceCache
from synthassay.metrics.fidelity import score_fidelity
from synthassay.metrics.specs import FidelitySpec

SPEC = FidelitySpec(replicates=20, permutations=100, groups=("label",), set_level=())


class Shelf(dict):
    """Keeps graphs by their keys."""

    def __call__(self, key, make):
        if key not in self:
            self[key] = {name: array.copy() for name, array in make().items()}
        return self[key]


@pytest.fixture
def sets(cohort):
    return {"test": cohort.real("test", 40, 3), "control": cohort.real("control", 30, 3),
            "train": cohort.real("train", 70, 3)}  # fmt: skip


def test_a_second_run_makes_no_graph_and_finds_the_same(sets, cohort, monkeypatch):
    monkeypatch.setattr(graph, "WORTH", 0)
    shelf = Shelf()
    for name in ("gan", "vae"):
        subject = cohort.synthetic(name, 120)
        cache = ReferenceCache(**sets, spec=SPEC, seed=0, keep=shelf)
        kept = score_fidelity(subject, **sets, spec=SPEC, seed=0, cache=cache)
        assert kept == score_fidelity(subject, **sets, spec=SPEC, seed=0)
        assert len(shelf) == 9  # test, train and control in three groups
    assert any("covariance" in arrays for arrays in shelf.values())
    assert any("classic squares" in arrays for arrays in shelf.values())


def test_other_neighbours_rows_or_patients_are_other_graphs(sets, cohort, monkeypatch):
    monkeypatch.setattr(graph, "WORTH", 0)
    shelf = Shelf()
    spec = SPEC.model_copy(update={"groups": ()})
    regrouped = replace(sets["test"], patients=np.repeat([f"q{i}" for i in range(60)], 2))
    shifted = replace(sets["test"], features=sets["test"].features + np.float32(1e-3))
    for changed, spec_used in ((sets["test"], spec), (sets["test"], spec.model_copy(update={"k": 7})),
                               (regrouped, spec), (shifted, spec)):  # fmt: skip
        before = len(shelf)
        cache = ReferenceCache(**sets | {"test": changed}, spec=spec_used, seed=0, keep=shelf)
        cache.real("test", cache.groups[0])
        assert len(shelf) == before + 1


def test_small_sets_are_not_kept(sets):
    shelf = Shelf()
    cache = ReferenceCache(**sets, spec=SPEC, seed=0, keep=shelf)
    cache.real("test", cache.groups[0])
    assert not shelf
