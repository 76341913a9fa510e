"""The line: every stage in order, each found done when nothing that changes it has changed."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from synthassay.card import DataCard
from synthassay.errors import UserError
from synthassay.features.domain_specs import DomainSpec
from synthassay.features.specs import EncoderSpec
from synthassay.generators.external.specs import ExternalSpec
from synthassay.generators.foreign.specs import PretrainedSpec
from synthassay.privacy.spaces import mirrored_images
from synthassay.records import Cohort, FeatureSet, ImageSet, MetricResult
from synthassay.reports.data import Selection
from synthassay.specs import digest_of
from synthassay.stages.acquire import acquire_control, acquire_external, acquire_pretrained
from synthassay.stages.card import data_card
from synthassay.stages.context import RunContext
from synthassay.stages.counterfactuals import Counterfactual, check_asked, counterfactuals
from synthassay.stages.domain import ready_encoder
from synthassay.stages.downstream import downstream
from synthassay.stages.encode import encode
from synthassay.stages.memorise import MemorisationRecord, Memoriser, panel_sets
from synthassay.stages.parallel import Job, fill_store
from synthassay.stages.prepare import prepare
from synthassay.stages.private import promises
from synthassay.stages.sample import sample
from synthassay.stages.score import Diversity, Scorer
from synthassay.stages.select import select
from synthassay.stages.train import train, train_key
from synthassay.stages.volumetric import check_parts
from synthassay.store.store import StageOutput
from synthassay.team import apart, current_team

STAGES = ("prepare", "train", "sample", "encode", "score", "downstream", "report")


class Line:
    """One run. Its attributes fill up as the stages pass; ``sets`` holds generators first, then controls."""

    cohort: Cohort
    card: DataCard

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.trained: dict[str, StageOutput] = {}
        self.selections: dict[str, Selection] = {}
        self.sets: dict[str, ImageSet] = {}
        self.counterfactuals: list[Counterfactual] = []
        self.left_out: dict[str, dict[str, int]] = {}  # files of external sets, by reason
        self.panel: dict[str, ImageSet] = {}
        self.features: dict[str, FeatureSet] = {}  # of the first encoder, which memorisation looks at too
        self.further: list[dict[str, FeatureSet]] = []  # of each further encoder, for fidelity
        self.fidelity: list[MetricResult] = []
        self.memorisation: dict[str, MemorisationRecord] = {}
        self.downstream_results: list[MetricResult] = []

    def prepare(self) -> None:
        """Read the cohort and name the run; missing weights of an encoder are found before hours of training."""
        self.context.set_names()
        for spec in (self.context.spec.encoder, *self.context.spec.also_encode):
            if not isinstance(spec, DomainSpec):
                self.context.encoder(spec, partial(spec.build, self.context.resources))
        self.cohort, _ = prepare(self.context)
        if not len(self.cohort.split("generator-train")):
            raise UserError(
                "no patient was left for generator-train; give more patients or a larger cohort.split share"
            )
        if not len(self.cohort.split("control-a", "control-b")) or not len(self.cohort.split("test")):
            raise UserError(
                "the cohort has no control or no test patients, and nothing can be said without either.\n"
                "Give cohort.split.control_a, control_b and test a share."
            )
        check_parts(self.cohort.images, self.context.spec)
        check_asked(self.context.spec, self.cohort.split("generator-train"))
        self.card = data_card(self.context, self.cohort)
        self.run_id = digest_of({"spec": self.public_spec(), "cohort": self.cohort.content_id})[:12]

    def run_until(self, until: str) -> None:
        """Run the stages up to and with ``until``; a team does the first three together, and rank 0 the rest."""
        for step in (self._train, self._sample, self._encode)[: STAGES.index(until)]:
            step()
        if current_team().rank == 0:
            with apart():
                for step in (self._score, self._downstream)[: max(0, STAGES.index(until) - 3)]:
                    step()

    def public_spec(self) -> dict[str, Any]:
        """The run's spec without any path."""
        return self.context.spec.to_key()

    @property
    def results(self) -> list[MetricResult]:
        """Every result so far: fidelity, memorisation, what private trainings promise, downstream."""
        memorisation = [row for record in self.memorisation.values() for row in record.results]
        return [*self.fidelity, *memorisation, *promises(self.trained), *self.downstream_results]

    def digests(self) -> dict[str, str]:
        """Content ids of the cohort and of every set under test, and keys of the trained generators."""
        models = {f"model {name}": trained.key.digest for name, trained in self.trained.items()}
        return {"cohort": self.cohort.content_id, **{n: s.content_id for n, s in self.sets.items()}, **models}

    def train_known(self, name: str) -> bool:
        """Whether it is known which patients the set ``name`` was made from."""
        specs = {spec.name: spec for spec in self.context.spec.generators}
        spec = specs.get(name)
        return not isinstance(spec, ExternalSpec | PretrainedSpec) or spec.trained_on is not None

    def _train(self) -> None:
        images = self.cohort.split("generator-train")
        generators = self.context.spec.generators
        for spec in generators:
            if isinstance(spec, PretrainedSpec):  # first: what does not fit is known before hours of training
                self.trained[spec.name] = acquire_pretrained(self.context, spec, images)
        families = [spec for spec in generators if not isinstance(spec, ExternalSpec | PretrainedSpec)]
        absent = [spec for spec in families if self.context.store.find(train_key(self.context, spec, images)) is None]
        fill_store(self.context, [Job(train_key(self.context, spec, images), train, (spec, images)) for spec in absent])
        for spec in families:
            self.trained[spec.name] = train(self.context, spec, images)

    def _sample(self) -> None:
        images = self.cohort.split("generator-train")
        self.selections = select(self.context, self.trained, images, self.cohort.split("validation"))
        for spec in self.context.spec.generators:
            if isinstance(spec, ExternalSpec):
                self.sets[spec.name], self.left_out[spec.name] = acquire_external(self.context, spec, self.cohort)
            else:
                trained = self.trained[spec.name]
                snapshot = self.selections[spec.name].chosen if spec.name in self.selections else None
                self.sets[spec.name] = sample(self.context, spec, trained, images, snapshot)
                self.counterfactuals += counterfactuals(self.context, spec, trained, images, snapshot)
        for control in self.context.spec.controls:
            self.sets[control.name] = acquire_control(self.context, control, self.cohort)

    def _encode(self) -> None:
        train = self.cohort.split("generator-train")
        self.panel = panel_sets(self.context, self.cohort)
        compared = {
            "generator-train": train,
            "test": self.cohort.split("test"),
            "control": self.cohort.split("control-a", "control-b"),
            **self.sets,
        }
        searched = {"generator-train, mirrored": mirrored_images(train), **self.panel}  # what memorisation looks at
        self.features = self._encoded(self.context.spec.encoder, {**compared, **searched})
        self.further = [self._encoded(spec, compared) for spec in self.context.spec.also_encode]
        self.context.encoders.clear()  # classifiers need the memory
        for half in ("control-a", "control-b"):  # their images were encoded as part of both
            part = self.cohort.split(half)
            if len(part):
                rows = np.isin(self.features["control"].ids, part.ids)
                self.features[half] = self.features["control"].take(rows, name=part.name, content_id=part.content_id)

    def _encoded(self, spec: EncoderSpec, images: Mapping[str, ImageSet]) -> dict[str, FeatureSet]:
        encoder = ready_encoder(self.context, spec, self.cohort.split("generator-train"))
        return {name: encode(self.context, encoder, part) for name, part in images.items() if len(part)}

    def _score(self) -> None:
        spec = self.context.spec.fidelity
        overall = spec.model_copy(update={"groups": ()})  # a second opinion is asked for all images only
        scorers = [Scorer(self.context, self.features, spec)]
        scorers += [Scorer(self.context, features, overall) for features in self.further]
        diversity = Diversity(self.context, self.cohort.split("test"))
        memoriser = Memoriser(self.context, self.cohort, self.panel, self.features)
        for name, images in self.sets.items():
            known = self.train_known(name)
            for scorer in scorers:
                self.fidelity += scorer.score(name, known)
            self.fidelity += diversity.score(images)
            self.memorisation[name] = memoriser.assess(name, images, known)

    def _downstream(self) -> None:
        known = {name: self.train_known(name) for name in self.sets}
        self.downstream_results = downstream(self.context, self.cohort, self.sets, known)
