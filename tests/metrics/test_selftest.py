"""The self-test: it passes here, its theory holds by brute force, and each kind of broken metric fails it."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from synthassay.metrics.authenticity import Authenticity
from synthassay.metrics.frechet import FrechetDistance, frechet_distance
from synthassay.metrics.kid import KernelDistance, kid
from synthassay.metrics.prdc import prdc
from synthassay.metrics.selftest import circles, copying, directions, gaussians, limits, similarity
from synthassay.metrics.selftest.checks import Case, Check, Place, exact, on_average, whitened
from synthassay.metrics.selftest.run import CASES, run_selftest

CPU = Place()


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch) -> None:
    """Wider tolerances, a tenth of the time; the installed command draws more."""
    for module in (circles, copying, gaussians):
        monkeypatch.setattr(module, "DRAWS", 30)


@pytest.mark.parametrize("case", CASES)
def test_every_case_passes(case: str) -> None:
    checks = list(run_selftest(cases={case: CASES[case]}))
    assert checks
    assert [check for check in checks if not check.passed] == []


@pytest.mark.parametrize("case", ["two Gaussians", "few directions", "1% planted copies", "direction of each metric"])
def test_tensors_pass_as_arrays_do(case: str) -> None:
    """A device that is not called "cpu" takes the way of CUDA: every set is a tensor on it."""
    checks = list(run_selftest("cpu:0", {case: CASES[case]}))
    assert [check for check in checks if not check.passed] == []


@pytest.mark.gpu
def test_every_case_passes_on_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")
    assert [check for check in run_selftest("cuda") if not check.passed] == []


def failures(case: Case) -> set[str]:
    return {check.metric for check in case(CPU) if not check.passed}


def test_authenticity_with_the_index_bug_fails_and_scores_what_is_reported(monkeypatch) -> None:
    def indexed_wrongly(train, synthetic, **_):
        train, synthetic = np.asarray(train), np.asarray(synthetic)
        between = cdist(train, synthetic)
        own = np.where(np.eye(len(train), dtype=bool), np.inf, cdist(train, train)).min(axis=1)
        # The nearest synthetic row of each training row, taken for a training row.
        return Authenticity(own[between.argmin(axis=1)] < between.min(axis=1), np.arange(len(train)))

    monkeypatch.setattr(copying, "authenticity", indexed_wrongly)
    (check,) = copying.copied_patients(CPU)
    assert not check.passed
    assert check.found == pytest.approx(0.88, abs=0.12)


def test_neighbourhoods_off_by_one_fail(monkeypatch) -> None:
    wider = lambda real, synthetic, *, k, **rest: prdc(real, synthetic, k=k + 1, **rest)
    for module in (circles, limits):
        monkeypatch.setattr(module, "prdc", wider)
    assert {"precision", "recall", "coverage"} <= failures(circles.same_circle)
    assert {"recall", "coverage"} <= failures(circles.dropped_mode)


def test_similarity_of_an_image_with_itself_fails(monkeypatch) -> None:
    def with_itself(pixels, **rest):
        return similarity_of(np.repeat(pixels[:1], len(pixels), axis=0), **rest)

    similarity_of = similarity.ms_ssim_diversity
    monkeypatch.setattr(similarity, "ms_ssim_diversity", with_itself)
    found = [check.passed for check in similarity.similar_images(CPU)]
    assert found == [True, False, False, False, False]  # only the set of one image is right


def test_precision_and_recall_exchanged_fail(monkeypatch) -> None:
    monkeypatch.setattr(circles, "prdc", lambda real, synthetic, **rest: prdc(synthetic, real, **rest))
    assert {"precision", "recall"} <= failures(circles.dropped_mode)


def test_neighbours_of_the_same_patient_fail(monkeypatch) -> None:
    blind = lambda real, synthetic, *, real_units=None, **rest: prdc(real, synthetic, **rest)
    monkeypatch.setattr(circles, "prdc", blind)
    assert failures(circles.images_of_one_patient) == {"precision, patient-aware", "coverage, patient-aware"}


def test_a_covariance_with_n_fails(monkeypatch) -> None:
    def biased(real, synthetic):
        both = [np.asarray(rows) for rows in (real, synthetic)]
        shrunk = [rows.mean(axis=0) + (rows - rows.mean(axis=0)) * math.sqrt(1 - 1 / len(rows)) for rows in both]
        return frechet_distance(*shrunk)

    monkeypatch.setattr(gaussians, "frechet_distance", biased)
    assert "frechet_distance" in failures(gaussians.two_gaussians)


def test_a_standard_error_without_the_real_side_fails(monkeypatch) -> None:
    def halved(real, synthetic):
        found = frechet_distance(real, synthetic)
        error = found.standard_error
        return FrechetDistance(found.value, None if error is None else error / math.sqrt(2), found.units)

    monkeypatch.setattr(gaussians, "frechet_distance", halved)
    assert failures(gaussians.two_gaussians) == {"its standard error"}


def test_a_biased_kernel_distance_fails(monkeypatch) -> None:
    def biased(real, synthetic):
        x, y = np.asarray(real), np.asarray(synthetic)
        mean = lambda a, b: float(((a @ b.T / a.shape[1] + 1) ** 3).mean())
        return KernelDistance(mean(x, x) + mean(y, y) - 2 * mean(x, y), None, len(x))

    monkeypatch.setattr(gaussians, "kid", biased)
    monkeypatch.setattr(limits, "kid", biased)
    assert failures(gaussians.by_hand) == {"kid"}
    assert failures(limits.identical) == {"kid"}


def test_a_metric_that_calls_worse_better_fails(monkeypatch) -> None:
    honest = directions.score_fidelity

    def reversed_rows(*args, **kwargs):
        return [replace(row, higher_is_better=False) if row.metric == "coverage" else row
                for row in honest(*args, **kwargs)]  # fmt: skip

    monkeypatch.setattr(directions, "score_fidelity", reversed_rows)
    assert failures(directions.directions) == {"coverage"}


def test_a_case_that_raises_is_one_failed_check_and_the_others_go_on() -> None:
    def broken(place: Place) -> Iterator[Check]:
        yield exact("first", 1.0, 1.0, "one")
        raise ZeroDivisionError("no\nvalue")

    first, error, by_hand, *_ = run_selftest(cases={"broken": broken, "by hand": gaussians.by_hand})
    assert (first.passed, error.passed, by_hand.passed) == (True, False, True)
    assert (error.case, error.theory) == ("broken", "raised ZeroDivisionError: no value")


@pytest.mark.parametrize("found", [None, math.nan, 1.0 + 1e-9])
def test_what_is_absent_or_off_by_more_than_the_tolerance_fails(found: float | None) -> None:
    assert not exact("metric", 1.0, found, "one").passed


def test_a_mean_over_draws_passes_within_four_standard_errors() -> None:
    draws = np.random.default_rng(0).standard_normal(400)
    assert on_average("mean", 0.0, draws, "0").passed
    assert not on_average("mean", 0.25, draws, "0").passed
    assert not on_average("mean", 0.0, [*draws[:3], None], "0").passed


def test_whitened_rows_have_the_moments_that_the_closed_form_needs() -> None:
    rows = whitened(50, 6, np.random.default_rng(0))
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.cov(rows.T), np.eye(6), atol=1e-12)


def test_the_closed_form_of_kid_equals_a_large_sample() -> None:
    x, y = gaussians.drawn(20_000, np.random.default_rng(1), CPU)
    found = np.mean([kid(x[i : i + 2000], y[i : i + 2000]).value for i in range(0, 20_000, 2000)])
    assert found == pytest.approx(gaussians.kid_of_moments(), rel=0.03)


@pytest.mark.parametrize("n", [5, 30])
def test_on_circles_the_expectations_hold_at_any_n_by_plain_counting(n: int) -> None:
    """Written out on angles, without any metric of ours."""
    random = np.random.default_rng(n)
    apart = lambda a, b: np.abs((a[:, None] - b[None, :] + np.pi) % (2 * np.pi) - np.pi)
    inside, authentic = [], []
    for _ in range(2000):
        train, new = 2 * np.pi * random.random(n), 2 * np.pi * random.random(1)
        own = np.where(np.eye(n, dtype=bool), np.inf, apart(train, train)).min(axis=1)
        to_new = apart(train, new)[:, 0]
        inside.append((to_new < own).any())
        authentic.append(own[to_new.argmin()] < to_new.min())
    error = 4 / math.sqrt(2000) / 2
    assert np.mean(inside) == pytest.approx(3 / 4, abs=error)
    assert np.mean(authentic) == pytest.approx(1 / 3, abs=error)
