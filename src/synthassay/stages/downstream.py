"""downstream: classifiers trained on real and on synthetic images, tested on the same held-out patients."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from synthassay.downstream.arms import Arm, plan_arms, train_arm, training_key
from synthassay.downstream.metadata import metadata_baseline
from synthassay.downstream.scoring import score_downstream
from synthassay.records import Cohort, ImageSet, MetricResult, Predictions, Split, content_digest
from synthassay.stages.context import RunContext
from synthassay.stages.parallel import Job, fill_store
from synthassay.store.store import StageKey, StageOutput
from synthassay.store.tables import load_predictions, load_results, save_predictions, save_results

VERSION = 1
UNKNOWN_TRAINING = (
    "it is not known which patients this set was trained on (generator.trained_on), so test patients may be among them"
)


def downstream(
    context: RunContext, cohort: Cohort, sets: Mapping[str, ImageSet], train_known: Mapping[str, bool]
) -> list[MetricResult]:
    """Results of every arm and seed, and of the metadata baseline, on test and external patients.

    Controls enter as synthetic arms only, where ``train_known`` says so: noise shows what learning nothing looks like.
    """
    spec = context.spec.downstream
    train, validation = cohort.split("generator-train"), cohort.split("validation")
    held_out: dict[Split, ImageSet] = {"test": cohort.split("test"), "external": cohort.split("external")}
    tests = {name: images for name, images in held_out.items() if len(images)}
    caveats = {name: UNKNOWN_TRAINING for name, known in train_known.items() if not known}
    arms = [arm for arm in plan_arms(train, sets, positive=cohort.positive, caveats=caveats) if _wanted(arm, sets)]
    trainings = [(arm, validation, tests, seed) for seed in spec.seeds for arm in arms]
    absent = [training for training in trainings if context.store.find(_key(context, *training)) is None]
    fill_store(context, [Job(_key(context, *training), _train, training) for training in absent])
    trained = [_train(context, *training) for training in trainings]
    facts = {"downstream": spec.to_key(), "positive": cohort.positive, "caveats": caveats, "seed": context.spec.seed}
    inputs = {f"{i:03d}": output.key.digest for i, output in enumerate(trained)} | {"cohort": cohort.content_id}

    def build(workdir: Path) -> None:
        baseline = metadata_baseline(train, validation, tests, spec, positive=cohort.positive)
        predictions = [*_predictions(trained), *baseline]
        save_predictions(predictions, workdir)
        rows = score_downstream(predictions, spec, seed=context.spec.seed, arms=arms, tests=tests)
        save_results(rows, workdir / "results.json")

    output = context.note(context.store.run(StageKey("downstream", VERSION, facts, inputs), build))
    return load_results(output.path / "results.json")


def _wanted(arm: Arm, sets: Mapping[str, ImageSet]) -> bool:
    return arm.name != "both" or sets[arm.generator].origin != "control"


def _predictions(trained: Sequence[StageOutput]) -> list[Predictions]:
    return [item for output in trained for item in load_predictions(output.path)]


def _key(context: RunContext, arm: Arm, validation: ImageSet, tests: Mapping[Split, ImageSet], seed: int) -> StageKey:
    spec = context.spec.downstream
    facts = {"training": training_key(arm, validation, tests, spec, seed), "specificity": spec.specificity}
    # Predictions hold pseudonyms, which the content of the images leaves out: another key makes them anew.
    inputs = {"pseudonyms": content_digest(*(images.ids for images in tests.values()))}
    return StageKey("classify", VERSION, facts | {"arm": arm.name, "generator": arm.generator}, inputs)


def _train(
    context: RunContext, arm: Arm, validation: ImageSet, tests: Mapping[Split, ImageSet], seed: int
) -> StageOutput:
    def build(workdir: Path) -> None:
        scratch = workdir / ".training"
        scratch.mkdir(exist_ok=True)
        made = train_arm(
            arm,
            validation,
            tests,
            context.spec.downstream,
            seed=seed,
            workdir=scratch,
            resources=context.resources,
            progress=context.progress,
        )
        save_predictions(made, workdir)

    return context.note(context.store.run(_key(context, arm, validation, tests, seed), build))
