"""score: features → fidelity, each value with its interval and floor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from synthassay.metrics.cache import ReferenceCache
from synthassay.metrics.fidelity import score_fidelity
from synthassay.metrics.ms_ssim import PairSimilarity, diversity_by_group, ms_ssim_results
from synthassay.metrics.specs import FidelitySpec
from synthassay.records import FeatureSet, ImageSet, MetricResult
from synthassay.stages.context import RunContext
from synthassay.store.store import StageKey
from synthassay.store.tables import load_results, save_results

VERSION = 4


@dataclass
class Scorer:
    """Scores the sets of one run. What they share on the real side is computed when the first is not found done."""

    context: RunContext
    features: Mapping[str, FeatureSet]
    spec: FidelitySpec
    _caches: dict[bool, ReferenceCache] = field(default_factory=dict)

    def score(self, name: str, train_known: bool) -> list[MetricResult]:
        """Fidelity of one set against test patients and, where it is known who was trained on, against these."""
        spec, seed = self.spec, self.context.spec.seed
        subject, test, control = (self.features[part] for part in (name, "test", "control"))
        train = self.features["generator-train"] if train_known else None
        inputs = {"subject": subject.content_id, "test": test.content_id, "control": control.content_id}
        inputs["train"] = train.content_id if train is not None else "unknown"
        facts = {"fidelity": spec.to_key(), "encoder": dict(test.encoder_identity), "name": name, "seed": seed}

        def build(workdir: Path) -> None:
            if train_known not in self._caches:
                self._caches[train_known] = ReferenceCache(
                    test=test, control=control, train=train, spec=spec, seed=seed,
                    device=self.context.resources.torch_device(),
                )  # fmt: skip
            results = score_fidelity(
                subject, test=test, control=control, train=train, spec=spec, seed=seed, cache=self._caches[train_known]
            )
            save_results(results, workdir / "results.json")

        output = self.context.note(self.context.store.run(StageKey("score", VERSION, facts, inputs), build))
        return load_results(output.path / "results.json")


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
