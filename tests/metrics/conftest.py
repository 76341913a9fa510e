"""Simulated cohorts: patients with several images each, as feature vectors."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from synthassay.records import FeatureSet, Origin


class Cohort:
    """Draws feature sets from one population of four clusters; images of a patient lie close together."""

    def __init__(self, dimension: int = 24, within: float = 0.3, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.dimension, self.within = dimension, within
        self.clusters = self.random.standard_normal((4, dimension))

    def images(self, patients: int, each: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Features ``[n, d]``, patient and cluster of each image."""
        cluster = self.random.integers(0, 4, patients)
        centre = self.clusters[cluster] + self.random.standard_normal((patients, self.dimension))
        vectors = np.repeat(centre, each, axis=0)
        vectors = vectors + self.within * self.random.standard_normal(vectors.shape)
        return vectors.astype(np.float32), np.repeat(np.arange(patients), each), np.repeat(cluster, each)

    def real(self, name: str, patients: int, each: int, sites: int = 2) -> FeatureSet:
        """Real images with a label and a site; patients are named after the set."""
        vectors, patient, cluster = self.images(patients, each)
        site = np.array([f"s{p % sites}" for p in patient])
        return feature_set(name, vectors, [f"{name}-p{p}" for p in patient], labels=cluster % 2, site=site)

    def synthetic(self, name: str, n: int) -> FeatureSet:
        """Honest synthetic images: each its own patient, a label and no site."""
        vectors, patient, cluster = self.images(n, 1)
        return feature_set(name, vectors, [f"{name}-{p}" for p in patient], labels=cluster % 2, origin="generator")


def feature_set(
    name: str, vectors: NDArray[np.floating], patients: list[str], *, labels: NDArray[np.int64] | None = None,
    site: NDArray[np.str_] | None = None, origin: Origin = "real",
) -> FeatureSet:  # fmt: skip
    n = len(vectors)
    return FeatureSet(
        name=name, origin=origin, features=vectors.astype(np.float32), patients=np.array(patients, dtype=np.str_),
        ids=np.array([f"{name}-{i:05d}" for i in range(n)], dtype=np.str_), label_names=("absent", "present"),
        labels=np.zeros(n, np.int64) if labels is None else labels.astype(np.int64), encoder="toy",
        encoder_identity=(("weights", "0"),), groups={} if site is None else {"site": site},
    )  # fmt: skip


@pytest.fixture
def cohort() -> Cohort:
    return Cohort()


@pytest.fixture
def make_set() -> Callable[..., FeatureSet]:
    return feature_set


@pytest.fixture
def make_cohort() -> Callable[..., Cohort]:
    return Cohort
