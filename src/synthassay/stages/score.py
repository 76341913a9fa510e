"""score: features → fidelity, each value with its interval and floor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from synthassay.metrics.cache import ReferenceCache
from synthassay.metrics.fidelity import score_fidelity
from synthassay.metrics.graph import Arrays, GraphKey
from synthassay.metrics.ms_ssim import PairSimilarity, diversity_by_group, ms_ssim_results
from synthassay.metrics.specs import FidelitySpec
from synthassay.records import FeatureSet, ImageSet, MetricResult
from synthassay.stages.context import RunContext
from synthassay.store.store import StageKey
from synthassay.store.tables import load_arrays, load_results, save_arrays, save_results

VERSION = 4


@dataclass
class Scorer:
    """Scores the sets of one run. What they share on the real side is computed when the first is not found done."""

    context: RunContext
    features: Mapping[str, FeatureSet]
    spec: FidelitySpec

    def score(self, name: str, train_known: bool) -> list[MetricResult]:
        """Fidelity of one set against test patients and, where it is known who was trained on, against these."""
        spec, seed = self.spec, self.context.spec.seed
        subject, test, control = (self.features[part] for part in (name, "test", "control"))
        train = self.features["generator-train"] if train_known else None
        inputs = {"subject": subject.content_id, "test": test.content_id, "control": control.content_id}
        inputs["train"] = train.content_id if train is not None else "unknown"
        facts = {"fidelity": spec.to_key(), "encoder": dict(test.encoder_identity), "name": name, "seed": seed}

        def build(workdir: Path) -> None:
            results = score_fidelity(
                subject, test=test, control=control, train=train, spec=spec, seed=seed, cache=self._real(train_known)
            )
            save_results(results, workdir / "results.json")

        output = self.context.note(self.context.store.run(StageKey("score", VERSION, facts, inputs), build))
        return load_results(output.path / "results.json")

    def _real(self, train_known: bool) -> ReferenceCache:
        return self._shared if train_known else self._shared.without_train()

    @cached_property
    def _shared(self) -> ReferenceCache:
        return ReferenceCache(
            test=self.features["test"], control=self.features["control"], train=self.features["generator-train"],
            spec=self.spec, seed=self.context.spec.seed, device=self.context.resources.torch_device(),
            keep=self._kept,
        )  # fmt: skip

    def _kept(self, graph: GraphKey, make: Callable[[], Arrays]) -> Arrays:
        """A real set's neighbour graph from the store, where runs and sweep cells find it; not noted, as it is part of
        a score."""
        key = StageKey("graph", VERSION, {"k": graph.k, "halves": graph.halves},
                       {"rows": graph.rows, "centre": graph.centre})  # fmt: skip
        return load_arrays(self.context.store.run(key, lambda workdir: save_arrays(make(), workdir)).path)


@dataclass
class Diversity:
    """MS-SSIM diversity of the sets of one run, beside that of the real ``test`` images, which is computed once."""

    context: RunContext
    test: ImageSet

    def score(self, images: ImageSet) -> list[MetricResult]:
        """The results of one set."""
        spec, seed = self.context.spec.fidelity, self.context.spec.seed
        facts = {"fidelity": spec.to_key(), "name": images.name, "seed": seed}

        def build(workdir: Path) -> None:
            results = ms_ssim_results(
                images, self._of(images), self.test, self._real, reference="test", spec=spec, seed=seed
            )
            save_results(results, workdir / "results.json")

        key = StageKey("diversity", VERSION, facts, {"images": images.content_id, "test": self.test.content_id})
        return load_results(self.context.note(self.context.store.run(key, build)).path / "results.json")

    @cached_property
    def _real(self) -> dict[str, PairSimilarity]:
        return self._of(self.test)

    def _of(self, images: ImageSet) -> dict[str, PairSimilarity]:
        device = self.context.resources.torch_device()
        return diversity_by_group(images, seed=self.context.spec.seed, device=device)
