from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from synthassay.downstream.metadata import fit_logistic, metadata_baseline
from synthassay.downstream.specs import DownstreamSpec
from synthassay.metrics.classification import auroc
from synthassay.records import ImageSet

ImagesOf = Callable[..., ImageSet]
SpecOf = Callable[..., DownstreamSpec]


def in_the_middle(images: ImageSet) -> ImageSet:
    """The label follows from the slice position: the finding is in the middle slices."""
    position = images.covariates["slice_position"]
    return replace(images, labels=(np.abs(position - 0.5) < 0.2).astype(np.int64), content_id="")


def test_weights_equal_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    design = np.column_stack([np.ones(200), rng.normal(size=(200, 4))])
    truth = (rng.random(200) < 1 / (1 + np.exp(-design @ [0.3, 1, -2, 0, 0.5]))).astype(np.int64)
    peer = LogisticRegression(C=1 / 0.7, tol=1e-10, max_iter=10_000).fit(design[:, 1:], truth)
    found = fit_logistic(design, truth, ridge=0.7)
    np.testing.assert_allclose(found, [*peer.intercept_, *peer.coef_[0]], atol=1e-4)


def test_a_slice_position_that_gives_the_label_away_is_found(images_of: ImagesOf, spec_of: SpecOf) -> None:
    train, validation, test = (in_the_middle(images_of(60, seed)) for seed in (1, 2, 3))
    (found,) = metadata_baseline(train, validation, {"test": test}, spec_of())
    assert (found.arm, found.generator, found.split) == ("metadata", "", "test")
    assert auroc(found.scores, found.labels) > 0.95
    assert np.mean(found.scores[found.labels == 0] > found.threshold) < 0.25


def test_a_table_unrelated_to_the_label_says_nothing(images_of: ImagesOf, spec_of: SpecOf) -> None:
    (found,) = metadata_baseline(images_of(150, 1), images_of(30, 2), {"test": images_of(150, 3)}, spec_of())
    assert 0.35 < auroc(found.scores, found.labels) < 0.65


def test_a_site_that_decides_the_label_is_found_and_an_unseen_site_scores_in_between(
    images_of: ImagesOf, spec_of: SpecOf
) -> None:
    def by_site(seed: int) -> ImageSet:
        images = images_of(60, seed)
        return replace(images, labels=(images.groups["site"] == "North").astype(np.int64), content_id="")

    test = by_site(3)
    elsewhere = replace(test, groups=test.groups | {"site": np.full(len(test), "West")}, content_id="")
    found, outside = metadata_baseline(by_site(1), by_site(2), {"test": test, "external": elsewhere}, spec_of())
    assert auroc(found.scores, found.labels) == 1.0
    low, high = found.scores[found.labels == 0].max(), found.scores[found.labels == 1].min()
    assert np.all((outside.scores > low) & (outside.scores < high))


def test_missing_values_and_a_missing_table_are_no_error(images_of: ImagesOf, spec_of: SpecOf) -> None:
    def holes(seed: int) -> ImageSet:
        images = in_the_middle(images_of(60, seed))
        position = np.where(np.arange(len(images)) % 4, images.covariates["slice_position"], np.float32(np.nan))
        return replace(images, covariates={"slice_position": position.astype(np.float32)})

    (found,) = metadata_baseline(holes(1), holes(2), {"test": holes(3)}, spec_of())
    assert 0.75 < auroc(found.scores, found.labels) < 0.99
    bare = [replace(images_of(20, seed), groups={}, covariates={}) for seed in (1, 2, 3)]
    (constant,) = metadata_baseline(bare[0], bare[1], {"test": bare[2]}, spec_of())
    assert constant.scores == pytest.approx(0.4, abs=1e-5)


def test_one_class_gives_no_baseline(images_of: ImagesOf, spec_of: SpecOf) -> None:
    uniform = images_of(10, 1, labels=np.ones(20, np.int64))
    assert metadata_baseline(uniform, images_of(5, 2), {"test": images_of(5, 3)}, spec_of()) == []
