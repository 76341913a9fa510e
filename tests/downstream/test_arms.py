from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthassay.downstream.arms import Arm, plan_arms, train_arm, training_key
from synthassay.downstream.networks import memory_layout
from synthassay.downstream.scoring import score_downstream
from synthassay.downstream.specs import DenseNetSpec, DownstreamSpec, ResNetSpec
from synthassay.errors import InsufficientEvidence, UserError
from synthassay.metrics.classification import auroc
from synthassay.records import ImageSet, Predictions, SilentProgress
from synthassay.specs import Resources

ImagesOf = Callable[..., ImageSet]
SpecOf = Callable[..., DownstreamSpec]
Run = Callable[..., list[Predictions]]


class Killed(BaseException):
    """Stands for the process ending at once."""


class KilledAt(SilentProgress):
    """Ends the process after ``steps`` steps, and counts the steps that were done."""

    def __init__(self, steps: int = 10**9) -> None:
        self.left, self.done = steps, 0

    def advance(self, n: int = 1) -> None:
        self.left, self.done = self.left - n, self.done + n
        if self.left <= 0:
            raise Killed


@pytest.fixture
def train(images_of: ImagesOf) -> ImageSet:
    return images_of(40, 1, split="generator-train")


@pytest.fixture
def synthetic(images_of: ImagesOf) -> ImageSet:
    return replace(images_of(60, 2, prevalence=0.7, prefix="s"), origin="generator", name="gan")


@pytest.fixture
def run(images_of: ImagesOf, tmp_path: Path, cpu: Resources) -> Run:
    """Trains an arm on toy validation and test patients, in one work folder for the whole test."""
    validation, test = images_of(30, 3, split="validation"), images_of(60, 4, split="test")

    def go(arm: Arm, spec: DownstreamSpec, **changes: Any) -> list[Predictions]:
        held_out = {"validation": validation, "tests": {"test": test}}
        fixed = {"seed": 0, "workdir": tmp_path, "resources": cpu, "progress": SilentProgress()}
        return train_arm(arm, spec=spec, **(held_out | fixed | changes))

    return go


def by_name(arms: list[Arm]) -> Mapping[str, Arm]:
    return {arm.title: arm for arm in arms}


# --- the plan ---


def test_every_set_has_two_arms_beside_the_two_real_ones(train: ImageSet, synthetic: ImageSet, spec_of: SpecOf) -> None:
    arms = by_name(plan_arms(train, {"gan": synthetic, "vae": synthetic}))
    assert list(arms) == ["real", "real-long", "synthetic gan", "both gan", "synthetic vae", "both vae"]
    spec = spec_of(steps=40, both_factor=2)
    steps = {title: arm.steps(spec) for title, arm in arms.items()}
    assert steps["real"] == steps["synthetic gan"] == 40
    assert steps["real-long"] == steps["both gan"] == 80


def test_prevalence_and_intensity_are_those_of_generator_train_in_every_arm(
    train: ImageSet, synthetic: ImageSet
) -> None:
    arms = plan_arms(train, {"gan": synthetic})
    assert {arm.prevalence for arm in arms} == {0.4}
    scaled = train.pixels / 255
    for arm in arms:
        assert arm.intensity.mean[0] == pytest.approx(scaled.mean())
        assert arm.intensity.deviation[0] == pytest.approx(scaled.std())


def test_counts_tell_real_from_synthetic_images(train: ImageSet, synthetic: ImageSet) -> None:
    arms = by_name(plan_arms(train, {"gan": synthetic}))
    counts = {title: (arm.count(real=True), arm.count(real=False)) for title, arm in arms.items()}
    assert counts == {"real": (80, 0), "real-long": (80, 0), "synthetic gan": (0, 120), "both gan": (80, 120)}


def test_real_images_of_another_split_are_refused(images_of: ImagesOf) -> None:
    with pytest.raises(ValueError, match="generator-train only, got 'test'"):
        plan_arms(images_of(10, 1, split="test"), {})


def test_a_set_of_another_format_is_refused(train: ImageSet, synthetic: ImageSet) -> None:
    small = replace(synthetic, pixels=synthetic.pixels[..., :8], content_id="")
    with pytest.raises(ValueError, match="set gan holds images of"):
        plan_arms(train, {"gan": small})


def test_a_set_without_labels_or_with_one_class_says_so_and_gives_no_predictions(
    train: ImageSet, synthetic: ImageSet, run: Run, spec_of: SpecOf
) -> None:
    unlabelled = replace(synthetic, labels=np.full(120, -1), content_id="")
    uniform = replace(synthetic, labels=np.ones(120, np.int64), content_id="")
    arms = by_name(plan_arms(train, {"none": unlabelled, "one": uniform}))
    assert arms["synthetic none"].reason == arms["both none"].reason == "the set none has no labels"
    assert "one class only (120 of 120 images are 'square')" in arms["synthetic one"].reason
    assert arms["real"].reason == ""
    assert run(arms["both one"], spec_of()) == []


def test_a_train_split_of_one_class_stops_every_arm(train: ImageSet, synthetic: ImageSet) -> None:
    uniform = replace(train, labels=np.zeros(80, np.int64), content_id="")
    assert all("generator-train has labels of one class" in arm.reason for arm in plan_arms(uniform, {"g": synthetic}))


def test_volumes_are_not_trained_on_and_the_reason_says_so(train: ImageSet, synthetic: ImageSet) -> None:
    real, made = (replace(part, pixels=part.pixels[:, :, None], content_id="") for part in (train, synthetic))
    reasons = {arm.reason for arm in plan_arms(real, {"g": made})}
    assert reasons == {"the classifiers work on images, and generator-train holds volumes"}


def test_unlabelled_images_are_left_out_and_other_classes_are_negative(train: ImageSet) -> None:
    labels = np.where(np.arange(80) < 10, -1, np.arange(80) % 3)
    many = replace(train, labels=labels, label_names=("a", "b", "c"), content_id="")
    arm = plan_arms(many, {}, positive=2)[0]
    assert arm.count(real=True) == 70
    assert arm.prevalence == pytest.approx(np.mean(labels[10:] == 2))


# --- training ---


def test_a_learnable_finding_is_learnt_from_real_and_from_good_synthetic_images(
    train: ImageSet, synthetic: ImageSet, run: Run, spec_of: SpecOf
) -> None:
    for arm in plan_arms(train, {"gan": synthetic}):
        if arm.name in ("real", "synthetic"):
            (found,) = run(arm, spec_of())
            assert auroc(found.scores, found.labels) > 0.9, arm.title
            assert (found.arm, found.split, found.scores.dtype) == (arm.name, "test", np.float32)


def test_synthetic_images_with_shuffled_labels_teach_nothing_and_the_difference_shows_it(
    train: ImageSet, synthetic: ImageSet, run: Run, spec_of: SpecOf
) -> None:
    shuffled = replace(synthetic, labels=np.random.default_rng(0).permutation(synthetic.labels), content_id="")
    arms = plan_arms(train, {"gan": shuffled})
    found = [item for arm in arms if arm.name in ("real", "synthetic") for item in run(arm, spec_of())]
    rows = {(r.metric, r.variant): r for r in score_downstream(found, spec_of(), seed=0) if r.group == "all"}
    assert rows["auroc", "synthetic"].value == pytest.approx(0.5, abs=0.2)
    difference = rows["auroc_difference", "synthetic - real"]
    assert difference.value is not None
    assert difference.value < -0.2
    assert difference.ci_high is not None
    assert difference.ci_high < 0


def test_layouts_that_corrupt_memory_on_a_cpu_are_not_used() -> None:
    cpu = torch.device("cpu")
    assert memory_layout(ResNetSpec(width=4), cpu) == torch.contiguous_format
    assert memory_layout(DenseNetSpec(width=16), cpu) == torch.contiguous_format
    assert memory_layout(ResNetSpec(width=16), cpu) == torch.channels_last
    assert memory_layout(ResNetSpec(width=4), torch.device("cuda")) == torch.channels_last


def test_colour_and_sixteen_bits_and_densenet_train_too(
    train: ImageSet, images_of: ImagesOf, run: Run, spec_of: SpecOf
) -> None:
    def deep(images: ImageSet) -> ImageSet:
        pixels = images.pixels.astype(np.uint16).repeat(3, axis=1).repeat(2, axis=2).repeat(2, axis=3) * 257
        return replace(images, pixels=pixels, content_id="")

    spec = spec_of(network=DenseNetSpec(width=4, growth=2), steps=2, batch_size=8)
    held_out = {"validation": deep(images_of(10, 3)), "tests": {"test": deep(images_of(10, 4))}}
    (found,) = run(plan_arms(deep(train), {})[0], spec, **held_out)
    assert np.isfinite(found.scores).all()


def test_a_densenet_on_images_too_small_for_it_says_what_to_change(train: ImageSet, run: Run, spec_of: SpecOf) -> None:
    with pytest.raises(UserError, match=r"they have 16 pixels; use cohort\.size=32"):
        run(plan_arms(train, {})[0], spec_of(network=DenseNetSpec(width=4)))


def test_the_threshold_follows_from_validation_alone(
    train: ImageSet, images_of: ImagesOf, run: Run, spec_of: SpecOf
) -> None:
    arm = plan_arms(train, {})[0]
    spec = spec_of(steps=10)
    validation, test = images_of(30, 3), images_of(30, 5)
    mislabelled = replace(test, labels=1 - test.labels, content_id="")
    thresholds = [run(arm, spec, tests={"test": images})[0].threshold for images in (test, mislabelled)]
    assert thresholds[0] == thresholds[1]
    (on_itself,) = run(arm, spec, tests={"test": validation}, validation=validation)
    negatives = on_itself.scores[on_itself.labels == 0]
    assert np.mean(negatives <= on_itself.threshold) >= 0.9
    assert np.mean(negatives < on_itself.threshold) < 0.9


def test_a_validation_split_without_negatives_leaves_the_threshold_open(
    train: ImageSet, images_of: ImagesOf, run: Run, spec_of: SpecOf
) -> None:
    positives = images_of(10, 3, labels=np.ones(20, np.int64))
    arm = plan_arms(train, {})[0]
    assert np.isnan(run(arm, spec_of(steps=2), validation=positives)[0].threshold)
    with pytest.raises(InsufficientEvidence, match="does not hold both classes"):
        run(arm, spec_of(steps=2, checkpoint="best"), validation=positives)


def test_a_patient_on_both_sides_is_refused(train: ImageSet, run: Run, spec_of: SpecOf) -> None:
    arm = plan_arms(train, {})[0]
    with pytest.raises(ValueError, match="3 patients of arm real"):
        run(arm, spec_of(), tests={"test": train.take(np.arange(6), split="test")})


def test_training_leaves_the_global_random_state_and_thread_count_alone(
    train: ImageSet, run: Run, spec_of: SpecOf
) -> None:
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    run(plan_arms(train, {})[0], spec_of(steps=2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads


# --- resuming ---


def test_a_killed_training_goes_on_to_the_same_scores_bit_for_bit(
    train: ImageSet, run: Run, spec_of: SpecOf, tmp_path: Path
) -> None:
    arm = plan_arms(train, {})[0]
    for choice in ("last", "best"):
        width = 4 if choice == "last" else 16  # 16 has another memory layout
        network = ResNetSpec(width=width, stem_kernel=3, stem_stride=1)
        spec = spec_of(network=network, steps=12, save_every=4, evaluate_every=3, checkpoint=choice)
        (whole,) = run(arm, spec, workdir=tmp_path / f"whole {choice}")
        for killed_after in (3, 7, 5):
            with pytest.raises(Killed):
                run(arm, spec, workdir=tmp_path / choice, progress=KilledAt(killed_after))
        (resumed,) = run(arm, spec, workdir=tmp_path / choice)
        np.testing.assert_array_equal(resumed.scores, whole.scores)
        assert resumed.threshold == whole.threshold


def test_finished_scores_are_read_and_not_trained_again(
    train: ImageSet, run: Run, spec_of: SpecOf, tmp_path: Path
) -> None:
    arm, counter = plan_arms(train, {})[0], KilledAt()
    (first,) = run(arm, spec_of(steps=3), progress=counter)
    (second,) = run(arm, spec_of(steps=3), progress=counter)
    assert counter.done == 3
    np.testing.assert_array_equal(first.scores, second.scores)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["scores.safetensors"]


def test_a_damaged_file_is_trained_again(train: ImageSet, run: Run, spec_of: SpecOf, tmp_path: Path) -> None:
    arm = plan_arms(train, {})[0]
    (first,) = run(arm, spec_of(steps=3))
    file = next(tmp_path.rglob("scores.safetensors"))
    file.write_bytes(file.read_bytes()[:-20])
    (second,) = run(arm, spec_of(steps=3))
    np.testing.assert_array_equal(first.scores, second.scores)


def test_the_key_follows_what_scores_depend_on_and_nothing_else(
    train: ImageSet, synthetic: ImageSet, images_of: ImagesOf, spec_of: SpecOf
) -> None:
    validation, tests = images_of(5, 3), {"test": images_of(5, 4)}
    arms = by_name(plan_arms(train, {"gan": synthetic, "renamed": synthetic}))
    base = training_key(arms["synthetic gan"], validation, tests, spec_of(), 0)
    same = [
        training_key(arms["synthetic renamed"], validation, tests, spec_of(), 0),
        training_key(arms["synthetic gan"], validation, tests, spec_of(group_by=("site",), seeds=(0, 1)), 0),
    ]
    others = [
        training_key(arms["synthetic gan"], validation, tests, spec_of(steps=41), 0),
        training_key(arms["synthetic gan"], validation, tests, spec_of(), 1),
        training_key(arms["both gan"], validation, tests, spec_of(), 0),
        training_key(arms["synthetic gan"], tests["test"], tests, spec_of(), 0),
    ]
    assert set(same) == {base}
    assert len({base, *others}) == 5
