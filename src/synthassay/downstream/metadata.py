"""A classifier that sees no pixel: what site, device, view, sex, age and slice position alone give away."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from synthassay.downstream.specs import DownstreamSpec
from synthassay.metrics.classification import threshold_at_specificity
from synthassay.records import COVARIATES, UNLABELLED, ImageSet, Predictions, Split

CATEGORIES = ("site", "device", "view", "sex")
KNOTS = (0.2, 0.4, 0.6, 0.8)  # quantiles of generator-train at which a covariate's slope may change


@dataclass(frozen=True)
class _Encoding:
    """How a table becomes a design matrix; learned on generator-train only."""

    vocabularies: Mapping[str, tuple[str, ...]]
    scales: Mapping[str, tuple[float, float, tuple[float, ...]]]  # mean, deviation, standardised knots

    def design(self, images: ImageSet) -> NDArray[np.float64]:
        """``[n, 1 + p]`` float64, first column ones. A value that generator-train lacks has zeros throughout."""
        columns = [np.ones(len(images))]
        for name, values in self.vocabularies.items():
            column = images.groups.get(name, np.full(len(images), ""))
            columns += [(column == value).astype(np.float64) for value in values]
        for name, (mean, deviation, knots) in self.scales.items():
            raw = images.covariates.get(name, np.full(len(images), np.nan, np.float32)).astype(np.float64)
            missing = ~np.isfinite(raw)
            z = np.where(missing, 0.0, (np.where(missing, mean, raw) - mean) / deviation)
            # Hinges let a covariate act in a hump: tumours lie in the middle slices, neither first nor last.
            columns += [missing.astype(np.float64), z, *(np.maximum(z - knot, 0.0) for knot in knots)]
        return np.stack(columns, axis=1)


def _encoding(train: ImageSet) -> _Encoding:
    vocabularies = {name: tuple(np.unique(train.groups[name]).tolist()) for name in CATEGORIES if name in train.groups}
    scales = {}
    for name in COVARIATES:
        values = train.covariates.get(name, np.zeros(0, np.float32)).astype(np.float64)
        values = values[np.isfinite(values)]
        if len(values) and values.std() > 0:
            mean, deviation = float(values.mean()), float(values.std())
            knots = np.unique((np.quantile(values, KNOTS) - mean) / deviation)
            scales[name] = (mean, deviation, tuple(knots.tolist()))
    return _Encoding(vocabularies, scales)


def fit_logistic(design: NDArray[np.float64], truth: NDArray[np.int64], ridge: float) -> NDArray[np.float64]:
    """Weights ``[p]`` of a logistic regression with ``ridge``/2·|w|² on all but the first column.

    ``design``: ``[n, p]``; the loss is the sum over rows, so that ``ridge=1`` equals scikit-learn's ``C=1``. L-BFGS in
    float64 from zero: no random numbers.
    """
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 0.0

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = design @ weights
        value = np.sum(np.logaddexp(0.0, logits) - truth * logits) + 0.5 * np.sum(penalty * weights**2)
        return float(value), design.T @ (expit(logits) - truth) + penalty * weights

    start = np.zeros(design.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-8})
    return np.asarray(found.x, np.float64)


def metadata_baseline(
    train: ImageSet, validation: ImageSet, tests: Mapping[Split, ImageSet], spec: DownstreamSpec, *, positive: int = 1
) -> list[Predictions]:
    """Logistic regression on what the table says of each image, without its pixels: arm ``"metadata"``, seed 0.

    Site, device, view and sex enter one-hot (missing is a value of its own), age and slice position as linear splines
    with a mark for missing. Fitted on generator-train, threshold fixed on validation, like the image arms. Where it
    does as well as they do, the images were not needed. Without any table it scores every image at the prevalence.
    Empty if generator-train has one class only.
    """
    rows = train.take(train.labels != UNLABELLED)
    truth = (rows.labels == positive).astype(np.int64)
    if truth.sum() in (0, len(truth)):
        return []
    encoding = _encoding(rows)
    weights = fit_logistic(encoding.design(rows), truth, spec.ridge)

    def scores(images: ImageSet) -> NDArray[np.float32]:
        return expit(encoding.design(images) @ weights).astype(np.float32)

    check = validation.take(validation.labels != UNLABELLED)
    threshold = threshold_at_specificity(scores(check), check.labels == positive, spec.specificity)
    known = {split: images.take(images.labels != UNLABELLED) for split, images in tests.items()}
    return [
        Predictions(
            arm="metadata", generator="", seed=0, split=split, ids=images.ids, patients=images.patients,
            scores=scores(images), labels=(images.labels == positive).astype(np.int64), groups=images.groups,
            threshold=threshold,
        )
        for split, images in known.items() if len(images)
    ]  # fmt: skip
