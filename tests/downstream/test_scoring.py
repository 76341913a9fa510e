from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from synthassay.downstream.arms import plan_arms
from synthassay.downstream.scoring import score_downstream
from synthassay.downstream.specs import DownstreamSpec, IntervalSpec
from synthassay.metrics.classification import auroc
from synthassay.records import ImageSet, MetricResult, Predictions

ImagesOf = Callable[..., ImageSet]
SpecOf = Callable[..., DownstreamSpec]
METRICS = ("auroc", "average_precision", "sensitivity_at_90_specificity", "specificity_at_threshold", "ece")


def predictions(
    images: ImageSet, arm: str, generator: str = "", *, skill: float, seed: int = 0, threshold: float = 0.5
) -> Predictions:
    """Scores that tell the classes apart by ``skill`` standard deviations."""
    rng = np.random.default_rng([seed, len(arm), len(generator)])
    logits = skill * (images.labels - 0.5) + rng.normal(size=len(images))
    return Predictions(
        arm=arm, generator=generator, seed=seed, split=images.split or "test", ids=images.ids,
        patients=images.patients, scores=(1 / (1 + np.exp(-logits))).astype(np.float32), labels=images.labels,
        groups=images.groups, threshold=threshold,
    )  # fmt: skip


@pytest.fixture
def test_images(images_of: ImagesOf) -> ImageSet:
    return images_of(60, 4, split="test")


def everything(images: ImageSet, **changes: float) -> list[Predictions]:
    return [
        predictions(images, "real", skill=2.0),
        predictions(images, "real-long", skill=2.1),
        predictions(images, "synthetic", "gan", skill=changes.get("synthetic", 0.0)),
        predictions(images, "both", "gan", skill=2.0),
        predictions(images, "metadata", skill=0.1),
    ]


def one(rows: Sequence[MetricResult], metric: str, variant: str, group: str = "all", reference: str = "test"):
    (row,) = [r for r in rows if (r.metric, r.variant, r.group, r.reference) == (metric, variant, group, reference)]
    return row


def test_every_metric_of_every_arm_and_every_difference_is_there_once(test_images: ImageSet, spec_of: SpecOf) -> None:
    rows = score_downstream(everything(test_images), spec_of(), seed=0)
    keys = [(r.metric, r.variant, r.generator, r.group) for r in rows]
    assert len(set(keys)) == len(keys)
    assert {r.group for r in rows} == {"all", "site=North", "site=South", "device=A", "device=B"}
    for metric in METRICS:
        values = {r.variant: r.generator for r in rows if r.metric == metric}
        assert values == {"real": "real", "real-long": "real", "synthetic": "gan", "both": "gan", "metadata": "real"}
        differences = {r.variant: r.generator for r in rows if r.metric == f"{metric}_difference"}
        assert differences == {"synthetic - real": "gan", "both - real-long": "gan", "real-long - real": "real",
                               "real - metadata": "real"}  # fmt: skip


def test_an_uninformative_set_scores_a_half_and_a_difference_clear_of_zero(
    test_images: ImageSet, spec_of: SpecOf
) -> None:
    rows = score_downstream(everything(test_images), spec_of(), seed=0)
    value, difference = one(rows, "auroc", "synthetic"), one(rows, "auroc_difference", "synthetic - real")
    assert value.value == pytest.approx(0.5, abs=0.12)
    assert value.ci_low < 0.5 < value.ci_high
    assert difference.ci_low < difference.value < difference.ci_high < 0
    assert difference.value == pytest.approx(value.value - one(rows, "auroc", "real").value)
    assert (difference.status, difference.n_patients, difference.n_real) == ("ok", 60, 120)


def test_differences_are_paired_by_patient(images_of: ImagesOf, spec_of: SpecOf) -> None:
    images = images_of(60, 4, split="test")
    real = predictions(images, "real", skill=1.0)
    jitter = np.random.default_rng(0).normal(0, 0.02, len(images)).astype(np.float32)
    nearly = replace(real, arm="synthetic", generator="gan", scores=np.clip(real.scores + jitter, 0, 1))
    rows = score_downstream([real, nearly], spec_of(), seed=0)
    difference, value = one(rows, "auroc_difference", "synthetic - real"), one(rows, "auroc", "real")
    assert difference.ci_high - difference.ci_low < 0.25 * (value.ci_high - value.ci_low)


def test_the_floor_is_the_real_arm_of_as_many_steps(test_images: ImageSet, spec_of: SpecOf) -> None:
    rows = score_downstream(everything(test_images), spec_of(), seed=0)
    assert one(rows, "auroc", "synthetic").floor == one(rows, "auroc", "real").value
    assert one(rows, "auroc", "both").floor == one(rows, "auroc", "real-long").value
    assert one(rows, "auroc", "both").floor_ci_low == one(rows, "auroc", "real-long").ci_low
    assert one(rows, "auroc", "real").floor is None
    longer = one(rows, "auroc_difference", "real-long - real")
    contrast = one(rows, "auroc_difference", "synthetic - real")
    assert (contrast.floor, contrast.floor_ci_low) == (longer.value, longer.ci_low)


def test_values_are_means_over_seeds_and_intervals_widen_when_seeds_disagree(
    test_images: ImageSet, spec_of: SpecOf
) -> None:
    agreeing = [replace(predictions(test_images, "real", skill=2.0), seed=s) for s in range(3)]
    differing = [predictions(test_images, "real", skill=k, seed=s) for s, k in enumerate((0.5, 2.0, 3.5))]
    spec = spec_of(seeds=(0, 1, 2))
    calm, wild = (one(score_downstream(p, spec, seed=0), "auroc", "real") for p in (agreeing, differing))
    assert wild.value == pytest.approx(np.mean([auroc(p.scores, p.labels) for p in differing]))
    assert wild.ci_high - wild.ci_low > 1.5 * (calm.ci_high - calm.ci_low)
    assert "one training seed" not in calm.note
    assert "one training seed" in one(score_downstream(agreeing[:1], spec_of(), seed=0), "auroc", "real").note


def test_another_set_beside_it_changes_no_interval(test_images: ImageSet, spec_of: SpecOf) -> None:
    rows = score_downstream(everything(test_images), spec_of(), seed=0)
    more = [*everything(test_images), predictions(test_images, "synthetic", "vae", skill=1.0)]
    wider = {(r.metric, r.variant, r.generator, r.group): r for r in score_downstream(more, spec_of(), seed=0)}
    assert all(wider[r.metric, r.variant, r.generator, r.group] == r for r in rows)


def test_a_group_too_small_or_of_one_class_is_absent_with_its_reason(test_images: ImageSet, spec_of: SpecOf) -> None:
    owner = np.arange(120) // 2
    site = np.where(owner < 4, "Tiny", np.where(owner < 20, "Uniform", "Large"))
    labels = np.where(site == "Uniform", 0, test_images.labels)
    images = replace(test_images, groups={"site": site}, labels=labels, content_id="")
    rows = score_downstream(everything(images), spec_of(), seed=0)
    tiny, uniform = one(rows, "auroc", "real", "site=Tiny"), one(rows, "auroc", "real", "site=Uniform")
    assert (tiny.status, tiny.value, tiny.note) == ("absent", None, "4 patients, fewer than 5")
    assert (uniform.status, uniform.value) == ("absent", None)
    assert uniform.note == "0 patients with an image with the finding, fewer than 3"
    assert one(rows, "auroc_difference", "synthetic - real", "site=Tiny").status == "absent"
    assert one(rows, "auroc", "real", "site=Large").status == "ok"


def test_under_twenty_patients_results_are_descriptive(images_of: ImagesOf, spec_of: SpecOf) -> None:
    rows = score_downstream(everything(images_of(19, 4, split="test")), spec_of(), seed=0)
    assert {r.status for r in rows if r.group == "all"} == {"descriptive"}


def test_a_perfect_score_keeps_an_interval_with_width(test_images: ImageSet, spec_of: SpecOf) -> None:
    sure = replace(predictions(test_images, "real", skill=1.0), scores=test_images.labels.astype(np.float32))
    same = replace(sure, arm="synthetic", generator="gan")
    rows = score_downstream([sure, same], spec_of(), seed=0)
    for metric in ("auroc", "average_precision", "sensitivity_at_90_specificity"):
        row = one(rows, metric, "real")
        assert row.value == row.ci_high == 1.0
        assert row.ci_low < 0.97
    assert "no resample differs" in one(rows, "auroc_difference", "synthetic - real").note


def test_without_a_threshold_only_the_metrics_that_need_one_are_absent(test_images: ImageSet, spec_of: SpecOf) -> None:
    rows = score_downstream([predictions(test_images, "real", skill=1.0, threshold=np.nan)], spec_of(), seed=0)
    sensitivity = one(rows, "sensitivity_at_90_specificity", "real")
    assert (sensitivity.status, sensitivity.value) == ("absent", None)
    assert "validation has no negative image" in sensitivity.note
    assert one(rows, "auroc", "real").value is not None


def test_arms_that_could_not_be_trained_say_why(test_images: ImageSet, images_of: ImagesOf, spec_of: SpecOf) -> None:
    train = images_of(40, 1, split="generator-train")
    unlabelled = images_of(20, 2, labels=np.full(40, -1), prefix="s")
    known = images_of(20, 5, prefix="s")
    arms = plan_arms(train, {"mute": unlabelled, "gan": known}, caveats={"gan": "trained on unknown patients"})
    rows = score_downstream(everything(test_images), spec_of(), seed=0, arms=arms, tests={"test": test_images})
    mute = [r for r in rows if r.generator == "mute" and r.group == "all"]
    assert {(r.status, r.value, r.note) for r in mute} == {
        ("insufficient evidence", None, "the set mute has no labels")
    }
    assert {r.metric for r in mute} == {*METRICS, *(f"{m}_difference" for m in METRICS)}
    gan = one([r for r in rows if r.generator == "gan"], "auroc", "synthetic")
    assert (gan.status, gan.n_synthetic) == ("insufficient evidence", 40)
    assert gan.value is not None
    assert gan.note.startswith("trained on unknown patients")
    assert one(rows, "auroc", "real").status == "ok"


def test_when_no_arm_could_be_trained_the_rows_still_say_why(
    test_images: ImageSet, images_of: ImagesOf, spec_of: SpecOf
) -> None:
    arms = plan_arms(images_of(20, 1, split="generator-train", labels=np.zeros(40, np.int64)), {})
    rows = score_downstream([], spec_of(), seed=0, arms=arms, tests={"test": test_images})
    assert {(r.status, r.value) for r in rows} == {("insufficient evidence", None)}
    assert all("generator-train has labels of one class only" in r.note for r in rows)
    bare = replace(test_images, labels=np.full(len(test_images), -1), content_id="")
    rows = score_downstream([], spec_of(), seed=0, arms=arms, tests={"test": bare})
    assert {(r.status, r.note) for r in rows} == {("absent", "no image has a label")}


def test_the_identity_names_the_task_and_not_the_set_the_arm_or_the_seed(
    test_images: ImageSet, images_of: ImagesOf, spec_of: SpecOf
) -> None:
    arms = plan_arms(images_of(40, 1, split="generator-train"), {"gan": images_of(20, 5, prefix="s")})
    tests = {"test": test_images}
    rows = score_downstream(everything(test_images), spec_of(), seed=0, arms=arms, tests=tests)
    others = [replace(p, generator="vae" if p.generator else "", seed=9) for p in everything(test_images)]
    again = score_downstream(others, spec_of(seeds=(9,)), seed=1, arms=arms, tests=tests)
    key = one(rows, "auroc", "synthetic").identity
    assert key == one(again, "auroc", "synthetic").identity == one(rows, "auroc", "real").identity
    assert dict(key)["test"] == test_images.content_id
    longer = score_downstream(everything(test_images), spec_of(steps=41), seed=0, arms=arms, tests=tests)
    assert key != one(longer, "auroc", "synthetic").identity
    assert key != one(rows, "auroc", "synthetic", "site=North").identity


def test_test_and_external_patients_are_kept_apart(images_of: ImagesOf, spec_of: SpecOf) -> None:
    inside, outside = images_of(40, 4, split="test"), images_of(30, 6, split="external")
    rows = score_downstream([*everything(inside), *everything(outside)], spec_of(), seed=0)
    assert one(rows, "auroc", "real", reference="test").n_patients == 40
    assert one(rows, "auroc", "real", reference="external").n_patients == 30


def test_predictions_on_other_images_are_refused(images_of: ImagesOf, spec_of: SpecOf) -> None:
    mixed = [predictions(images_of(20, 4), "real", skill=1.0), predictions(images_of(20, 5), "both", "g", skill=1.0)]
    with pytest.raises(ValueError, match="other images of test"):
        score_downstream(mixed, spec_of(), seed=0)


def test_equal_seeds_give_equal_results(test_images: ImageSet, spec_of: SpecOf) -> None:
    spec = spec_of(intervals=IntervalSpec(replicates=100))
    first, second = (score_downstream(everything(test_images), spec, seed=3) for _ in range(2))
    assert first == second
