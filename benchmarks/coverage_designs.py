"""Simulated cohorts for ``interval_coverage.py``, and one repeat: every metric's value and interval on one of them.

Feature vectors have 16 dimensions; of each one's variance 0.3 is between four kinds of scan, 0.3 between patients of a
kind and 0.4 between images of a patient. Images for MS-SSIM are drawn with these vectors as their coordinates. Repeat i
depends on i only. Metrics that are asked about train are measured with the training set given, as their intervals are
meant; there are 20 of them, each of which a twentieth of the repeats share. Where the interval is over the set alone,
the set has as many units as there are patients.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.cluster import KMeans

from synthassay.metrics import c_t
from synthassay.metrics.authenticity import authenticity
from synthassay.metrics.catalogue import TEST
from synthassay.metrics.fidelity import score_fidelity
from synthassay.metrics.intervals import clustered_mean, clustered_mean_interval
from synthassay.metrics.ms_ssim import ms_ssim_diversity
from synthassay.metrics.neighbours import VARIANTS, Variant
from synthassay.metrics.points import Points, centred_points
from synthassay.metrics.set_level import OF_SYNTHETIC, Question, set_level_estimates
from synthassay.metrics.specs import FidelitySpec
from synthassay.records import FeatureSet, Origin
from synthassay.seeding import numpy_generator

SPEC = FidelitySpec(groups=(), set_level=("mmd_rbf",))  # the other metrics of a whole set are measured apart
DIMENSION, KINDS = 16, 4
BETWEEN_KINDS, BETWEEN_PATIENTS, WITHIN_PATIENT = 0.3, 0.3, 0.4  # shares of each dimension's variance
SCALE, SHIFT = 1.1, 0.2  # of a generator that is nearly right
COPIED, COPY_NOISE = 0.9, 0.02  # of a generator that copies: share of images, and variance around the copied one
TRAINING_SETS = 20
MEAN = "mean of a feature"  # of the real images: a control, since theory says how its interval covers
METHOD = re.compile(r"(?:[\d.]+%, )?(?P<name>[^,;]*)")  # without the level before it and the details behind
SIDE, CONTRAST = 11, 0.2  # of the images, which have one scale: pixels, and standard deviation of a pixel

Vectors = NDArray[np.float64]
Units = NDArray[np.int64]
Set = tuple[Vectors, Units]


@dataclass(frozen=True)
class Cohort:
    """Real patients with so many images each, repeated in this order, and the names of the designs drawn from them."""

    images: tuple[int, ...]
    images_of_many: tuple[int, ...]  # at 200 patients, to keep the time of a run down
    shifted: bool  # whether the generator is slightly wrong
    generator: str
    floor: str = ""  # empty: no floor is measured
    copier: str = ""  # empty: no generator that copies

    def sizes(self, patients: int) -> Units:
        """Images of each patient."""
        return np.resize(np.array(self.images if patients < 200 else self.images_of_many), patients)


COHORTS = {
    "uneven": Cohort((1, 2, 3, 4, 5, 6), (1, 2, 3), shifted=True, generator="generator", floor="floor",
                     copier="copier"),
    "even": Cohort((3,), (2,), shifted=False, generator="perfect generator"),
}  # fmt: skip
DESIGNS = {
    "generator": "independent images of a generator that is nearly right (scale 1.1, shift 0.2) against real patients "
                 "with 1 to 6 images (1 to 3 at 200 patients)",
    "perfect generator": "independent images of the real distribution against real patients with 3 images (2 at 200 "
                         "patients)",
    "floor": "real patients against other real patients, 1 to 6 images each (1 to 3 at 200 patients)",
    "copier": "independent images, nine in ten of which are a training image with a little noise, for the metrics that "
              "look for copies; real patients with 1 to 6 images (1 to 3 at 200 patients)",
}  # fmt: skip


def population(sizes: Units, random: np.random.Generator) -> Set:
    """``[n, 16]`` feature vectors of ``len(sizes)`` new patients, and the patient of each."""
    kinds = numpy_generator("interval coverage", "kinds").standard_normal((KINDS, DIMENSION)) * BETWEEN_KINDS**0.5
    patients = kinds[random.integers(0, KINDS, len(sizes))]
    patients = patients + BETWEEN_PATIENTS**0.5 * random.standard_normal(patients.shape)
    units = np.repeat(np.arange(len(sizes)), sizes)
    return patients[units] + WITHIN_PATIENT**0.5 * random.standard_normal((len(units), DIMENSION)), units


@dataclass(frozen=True)
class Row:
    """A value and its interval in one repeat; ``given``: which of the conditions held fixed it belongs to."""

    design: str
    metric: str
    variant: str
    value: float
    low: float | None
    high: float | None
    method: str
    given: int = 0


@dataclass(frozen=True)
class Drawn:
    """The sets of one repeat: real ``test`` patients, and ``sides`` by design."""

    test: Set
    control: Set
    sides: dict[str, Set]
    sizes: Units
    given: int

    @classmethod
    def of(cls, cohort: Cohort, patients: int, repeat: int) -> "Drawn":
        """Of repeat number ``repeat``."""
        random = numpy_generator("interval coverage", cohort.generator, patients, repeat)
        sizes = cohort.sizes(patients)
        test, control = population(sizes, random), population(sizes if cohort.floor else sizes[:1], random)
        vectors, units = population(np.ones(sizes.sum(), np.int64), random)
        sides = {cohort.generator: (vectors * SCALE + SHIFT if cohort.shifted else vectors, units)}
        if cohort.floor:
            sides[cohort.floor] = control
        return cls(test, control, sides, sizes, repeat % TRAINING_SETS)

    def train(self) -> Set:
        """The training set that is given."""
        return population(self.sizes, numpy_generator("interval coverage", "train", len(self.sizes), self.given))

    def alone(self, side: Set) -> Set:
        """As many units of ``side`` as there are patients, for metrics of which only they are resampled."""
        kept = side[1] < len(self.sizes)
        return side[0][kept], side[1][kept]


def core_repeat(cohort: Cohort, patients: int, repeat: int) -> list[Row]:
    """The metrics of one visit of the features, and authenticity, as ``score_fidelity`` gives them."""
    drawn = Drawn.of(cohort, patients, repeat)
    subject = _feature_set("subject", "generator", *drawn.sides[cohort.generator])
    test, control = _feature_set("test", "real", *drawn.test), _feature_set("control", "real", *drawn.control)
    # A control of one patient makes no floor.
    results = score_fidelity(subject, test=test, control=control, train=None, spec=SPEC, seed=repeat)
    rows = []
    for row in (row for row in results if row.reference == TEST):
        name, method = (row.metric, row.variant), row.ci_method.partition("%, ")[2]
        if row.value is not None:
            rows.append(Row(cohort.generator, *name, row.value, row.ci_low, row.ci_high, method))
        if row.floor is not None:
            rows.append(Row(cohort.floor, *name, row.floor, row.floor_ci_low, row.floor_ci_high, method))
    for design, side in drawn.sides.items():
        rows += _authenticity(design, drawn, side)
    feature, patient = drawn.test[0][:, 0], drawn.test[1]
    mean, interval = clustered_mean(feature, patient)[0], clustered_mean_interval(feature, patient)
    return [*rows, Row(cohort.generator, MEAN, "", mean, interval.low, interval.high, interval.method)]


def _feature_set(name: str, origin: Origin, vectors: Vectors, units: Units) -> FeatureSet:
    return FeatureSet(
        name=name, origin=origin, features=vectors.astype(np.float32), ids=np.arange(len(units)).astype(np.str_),
        patients=units.astype(np.str_), labels=np.zeros(len(units), np.int64), label_names=(), encoder="simulated",
        encoder_identity=(),
    )  # fmt: skip


def _authenticity(design: str, drawn: Drawn, side: Set) -> Iterator[Row]:
    train, synthetic = drawn.train(), drawn.alone(side)
    for variant in VARIANTS:
        found = authenticity(
            train[0], synthetic[0], train_units=train[1], synthetic_units=synthetic[1], variant=variant
        )  # fmt: skip
        interval = found.interval()
        yield Row(
            design, "authenticity", variant, found.value, interval.low, interval.high, interval.method, drawn.given
        )  # fmt: skip


SETS = FidelitySpec(groups=(), replicates=100)  # half as many half-samples as usual, to keep the time of a run down
AGAINST_TEST = (  # both sides drawn anew
    ("clipped_density", VARIANTS), ("clipped_coverage", VARIANTS), ("kid_subsets", VARIANTS[:1]),
    ("frechet_infinity", VARIANTS[:1]), ("frd", VARIANTS[:1]), ("vendi", VARIANTS[:1]),
)  # fmt: skip
ABOUT_COPIES = ("mifid", "c_t", "tail_copies")
SLOW = ("clipped_density", "clipped_coverage", "kid_subsets", "c_t")


def set_repeat(cohort: Cohort, patients: int, repeat: int, slow: bool = False) -> list[Row]:
    """The metrics of a whole set, as ``set_level_estimates`` gives them, and MS-SSIM; or with ``slow``, those of SLOW.

    The draws are the same.
    """
    drawn = Drawn.of(cohort, patients, repeat)
    train = drawn.train()
    against_test = [(name, each) for name, variants in AGAINST_TEST for each in variants if (name in SLOW) == slow]
    about_copies = [(name, VARIANTS[0]) for name in ABOUT_COPIES if (name in SLOW) == slow]
    rows: list[Row] = []
    for design, side in drawn.sides.items():
        redrawn = [key for key in about_copies if key[0] == "mifid"]  # its interval holds the luck of train too
        rows += _set_level(design, drawn, side, drawn.test, [*against_test, *redrawn], repeat)
        rows += _set_level(design, drawn, side, train, [key for key in about_copies if key not in redrawn], repeat)
        if not slow:
            rows.append(_similarity(design, drawn.alone(side), repeat))
    if cohort.copier:
        random = numpy_generator("interval coverage", cohort.copier, patients, repeat)
        copies = _copies(train[0], drawn.sides[cohort.generator][1], random)
        rows += _set_level(cohort.copier, drawn, copies, train, about_copies, repeat)
    return rows


def slow_repeat(cohort: Cohort, patients: int, repeat: int) -> list[Row]:
    """The metrics of a whole set that take the longest."""
    return set_repeat(cohort, patients, repeat, slow=True)


def _each_fitted_once() -> None:
    """The cells of C_T are those of the training set that is given: of 20 fits, not of one for each set and repeat."""
    known: dict[tuple[bytes, int], KMeans] = {}
    fit = c_t._fitted

    def fitted(train: Vectors, seed: int) -> KMeans:
        key = train.tobytes(), seed
        if key not in known:
            known[key] = fit(train, seed)
        return known[key]

    c_t._fitted = fitted


_each_fitted_once()


def _copies(train: Vectors, units: Units, random: np.random.Generator) -> Set:
    """As many independent images as ``units`` of a generator that mostly repeats ``train``."""
    fresh = population(np.ones(len(units), np.int64), random)[0]
    copied = train[random.integers(0, len(train), len(units))]
    copied = copied + COPY_NOISE**0.5 * random.standard_normal(copied.shape)
    return np.where((random.random(len(units)) < COPIED)[:, None], copied, fresh), units


def _set_level(
    design: str, drawn: Drawn, side: Set, real: Set, wanted: list[tuple[str, Variant]], repeat: int
) -> Iterator[Row]:
    given = drawn.given if real is not drawn.test else 0
    seed = given if real is not drawn.test else repeat  # the cells of C_T are given with the training set
    for names, synthetic in (
        ([key for key in wanted if key[0] not in OF_SYNTHETIC], side),
        ([key for key in wanted if key[0] in OF_SYNTHETIC], drawn.alone(side)),
    ):  # fmt: skip
        if not names:
            continue
        question = Question(*(_points(*each) for each in (synthetic, real, drawn.test)), SETS, seed)
        for (metric, variant), found in set_level_estimates(question, names).items():
            if found.value is not None:
                ends = found.interval
                yield Row(design, metric, variant, found.value, ends.low, ends.high, ends.method, given)


def _points(vectors: Vectors, units: Units) -> Points:
    return centred_points("simulated", vectors.astype(np.float32), units)


def _similarity(design: str, side: Set, repeat: int) -> Row:
    found = ms_ssim_diversity(
        _images(side[0]), side[1], generator=numpy_generator("interval coverage", "pairs", repeat)
    )
    interval = found.interval()
    return Row(design, "ms_ssim", VARIANTS[0], found.value, interval.low, interval.high, interval.method)


def _images(vectors: Vectors) -> NDArray[np.uint8]:
    """``[n, 1, 11, 11]`` images: smooth patterns, each as strong as one feature says, around middle grey."""
    noise = numpy_generator("interval coverage", "patterns").standard_normal((DIMENSION, SIDE, SIDE))
    patterns = gaussian_filter(noise, (0, 2, 2), mode="wrap")
    patterns *= CONTRAST / patterns.std() / DIMENSION**0.5
    grey = 0.5 + np.tensordot(vectors, patterns, axes=1)
    return np.clip(np.rint(255 * grey), 0, 255).astype(np.uint8)[:, None]


REPEATS_OF: dict[str, Callable[[Cohort, int, int], list[Row]]] = {
    "core": core_repeat,
    "sets": set_repeat,
    "slow": slow_repeat,
}
