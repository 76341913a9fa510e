from collections.abc import Sequence

import numpy as np
import pytest

from synthassay.downstream.batches import BatchPlan, batch_plan

NEGATIVE, POSITIVE = np.arange(0, 70), np.arange(70, 100)
OTHER_NEGATIVE, OTHER_POSITIVE = np.arange(100, 105), np.arange(105, 140)


def rows_and_labels(plan: BatchPlan, steps: int) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
    batches = [plan.batch(step) for step in range(steps)]
    return [rows for rows, _ in batches], [labels for _, labels in batches]


def test_arms_of_other_composition_get_the_same_sequence_of_labels() -> None:
    real = batch_plan([(NEGATIVE, POSITIVE)], (1.0,), 0.3, 16, seed=0)
    synthetic = batch_plan([(OTHER_NEGATIVE, OTHER_POSITIVE)], (1.0,), 0.3, 16, seed=0)
    both = batch_plan([(NEGATIVE, POSITIVE), (OTHER_NEGATIVE, OTHER_POSITIVE)], (0.5, 0.5), 0.3, 16, seed=0)
    expected = np.stack(rows_and_labels(real, 30)[1])
    for other in (synthetic, both):
        np.testing.assert_array_equal(np.stack(rows_and_labels(other, 30)[1]), expected)


@pytest.mark.parametrize("prevalence", [0.03, 0.3, 0.41271989, 0.97])
def test_positives_keep_their_share_to_one_image_and_labels_are_those_of_the_rows(prevalence: float) -> None:
    plan = batch_plan([(NEGATIVE, POSITIVE)], (1.0,), prevalence, 16, seed=0)
    rows, labels = rows_and_labels(plan, 50)
    seen = np.cumsum([batch.sum() for batch in labels])
    assert np.abs(seen - prevalence * 16 * np.arange(1, 51)).max() <= 1
    np.testing.assert_array_equal(np.concatenate(rows) >= 70, np.concatenate(labels) == 1)
    assert all(len(batch) == 16 for batch in rows)


def test_every_image_of_a_class_is_seen_once_before_any_is_seen_twice() -> None:
    plan = batch_plan([(NEGATIVE, POSITIVE)], (1.0,), 0.3, 10, seed=0)
    drawn = np.concatenate(rows_and_labels(plan, 20)[0])  # 60 positives: two epochs of 30
    counts = np.bincount(drawn, minlength=100)
    np.testing.assert_array_equal(counts[POSITIVE], 2)
    np.testing.assert_array_equal(counts[NEGATIVE], 2)


def test_both_draws_each_class_half_from_each_source_however_large_they_are() -> None:
    plan = batch_plan([(NEGATIVE, POSITIVE), (OTHER_NEGATIVE, OTHER_POSITIVE)], (0.5, 0.5), 0.3, 16, seed=0)
    drawn = np.concatenate(rows_and_labels(plan, 40)[0])
    for real, synthetic in ((NEGATIVE, OTHER_NEGATIVE), (POSITIVE, OTHER_POSITIVE)):
        assert abs(np.isin(drawn, real).sum() - np.isin(drawn, synthetic).sum()) <= 1


def test_a_batch_follows_from_its_step_whatever_was_asked_before() -> None:
    forward = batch_plan([(NEGATIVE, POSITIVE)], (1.0,), 0.3, 16, seed=3)
    for step in range(40):
        forward.batch(step)
    again = batch_plan([(NEGATIVE, POSITIVE)], (1.0,), 0.3, 16, seed=3)
    for step in (39, 7, 20):
        np.testing.assert_array_equal(again.batch(step)[0], forward.batch(step)[0])


def test_another_seed_draws_another_order() -> None:
    first = batch_plan([(NEGATIVE, POSITIVE)], (1.0,), 0.3, 16, seed=0).batch(0)[0]
    second = batch_plan([(NEGATIVE, POSITIVE)], (1.0,), 0.3, 16, seed=1).batch(0)[0]
    assert not np.array_equal(first, second)
