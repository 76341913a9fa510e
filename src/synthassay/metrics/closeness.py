"""Whether a set is closer to generator-train than new patients are.

For an image g with nearest training patient at distance a and nearest test patient at distance b, its contrast is
(b - a)/(b + a): 1 for a copy of a training image, -1 for one of a test image. Patients are split by a seeded
permutation, so for images of a set that never saw the training patients, whatever its quality, who is train and who is
test is exchangeable. The set's closeness is its mean contrast less its mean over random exchanges of train and test
patients (which removes the effect of there being more training patients), less the same for real control patients.

The interval inverts the exchange test (a shift of the exchange distribution: value minus its upper and lower
quantiles), so that its lower end is positive exactly when the one-sided test rejects. The test is valid at any n and
for any dependence between images (Lehmann & Romano 2005, section 15.2). This is a nearest-neighbour two-sample test
(Schilling 1986) that weighs distances. A contrast of two KIDs moves with moments up to the third only: on simulated
cohorts of 40 training and 16 test patients, 80 averages of neighbours lay 9 standard deviations from honest sets here
and 1 there. Distances to a patient are to the nearest of the patient's images.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from synthassay.metrics.cache import PreparedSet, ReferenceCache
from synthassay.metrics.catalogue import TEST, TRAIN
from synthassay.metrics.halfsampling import replicate_radii
from synthassay.metrics.intervals import Interval
from synthassay.metrics.points import Points, row_blocks
from synthassay.metrics.tiles import tiles
from synthassay.records import MIN_PATIENTS_FOR_INFERENCE, MetricResult, identity
from synthassay.seeding import numpy_generator

METRIC = "closer_to_train"
MIN_PATIENTS = 2  # of train and of test; an exchange needs somebody to exchange
UNKNOWN_TRAINING = (
    "it is not known which patients the set was trained on; generator.trained_on names those of an external set"
)
VERDICT = "closer to generator-train than new patients are"


def patient_distances(points: Points, patients: Points) -> NDArray[np.float64]:
    """``[n, P]`` distance of each row of ``points`` to the nearest image of each patient."""
    found = np.full((len(points), patients.n_units), np.inf)
    for tile in tiles(points, patients):
        units = patients.units[tile.columns]
        starts = np.flatnonzero(np.diff(units, prepend=-1))
        least = np.minimum.reduceat(tile.squares().cpu().numpy(), starts, axis=1)
        place = (tile.rows, units[starts])  # a patient may go on in the next tile
        found[place] = np.minimum(found[place], least)
    distances: NDArray[np.float64] = np.sqrt(found)
    return distances


def exchanges(n_train: int, n_test: int, replicates: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """``[n_train + n_test, 1 + replicates]``: who is train; column 0 the truth, the others random exchanges."""
    truth = np.arange(n_train + n_test) < n_train
    drawn = generator.permuted(np.broadcast_to(truth, (replicates, len(truth))), axis=1)
    return np.concatenate([truth[:, None], drawn.T], axis=1)


def mean_contrasts(distances: NDArray[np.float64], is_train: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean of (b - a)/(b + a) over rows for each labelling ``[P, R]`` of the columns of ``distances`` ``[n, P]``."""
    rows, labels = torch.from_numpy(distances), torch.from_numpy(is_train)
    added = torch.zeros(labels.shape[1], dtype=torch.float64)
    for part in row_blocks(len(rows), labels.shape[1]):
        to_train, to_test = replicate_radii(rows[part], labels, 1), replicate_radii(rows[part], ~labels, 1)
        total = to_test + to_train
        added += torch.where(total > 0, (to_test - to_train) / total, 0.0).sum(dim=0)
    return np.asarray((added / len(rows)).numpy())


def closeness(subject: NDArray[np.float64], control: NDArray[np.float64], confidence: float) -> tuple[float, Interval]:
    """Value and interval from the mean contrasts ``[1 + R]`` of the set and of the control (entry 0 the truth)."""
    contrast = subject - control
    value = float(contrast[0] - contrast[1:].mean())
    spread = contrast[1:] - contrast[1:].mean()
    tails = np.array([(1 + confidence) / 2, (1 - confidence) / 2])
    upper, lower = np.quantile(spread, tails)
    method = f"exchange of train and test patients ({len(spread)} draws), shifted"
    return value, Interval(value - float(upper), value - float(lower), method)


def _contrasts(item: PreparedSet, shared: ReferenceCache) -> NDArray[np.float64]:
    train, test = shared.references[TRAIN].points, shared.references[TEST].points
    distances = np.concatenate([patient_distances(item.points, real) for real in (train, test)], axis=1)
    generator = numpy_generator("fidelity", "exchanges", shared.seed)
    return mean_contrasts(distances, exchanges(train.n_units, test.n_units, shared.spec.permutations, generator))


def closeness_result(subject: PreparedSet, shared: ReferenceCache) -> MetricResult:
    """The ``closer_to_train`` result of a set; absent where train, test or control have too few patients.

    Where it is not known who was trained on, the evidence is insufficient, which a user can change.
    """
    train, test = shared.references.get(TRAIN), shared.references[TEST]
    counts = [0 if item is None else item.points.n_units for item in (train, test, shared.control)]
    row = MetricResult(
        family="fidelity", metric=METRIC, generator=subject.features.name, encoder=shared.encoder,
        variant="patient-aware", reference=TRAIN, n_real=0 if train is None else len(train.points),
        n_synthetic=len(subject.points), n_patients=min(*counts, subject.points.n_units), seed=shared.seed, unit="1",
        higher_is_better=False, identity=_identity(subject, shared),
    )  # fmt: skip
    if train is None:
        return replace(row, status="insufficient evidence", note=UNKNOWN_TRAINING)
    if len(subject.points) == 0:
        return replace(row, status="absent", note="the set has no images")
    if min(counts) < MIN_PATIENTS:
        reason = "needs 2 patients in each of train, test and control; found " + ", ".join(map(str, counts))
        return replace(row, status="absent", note=reason)
    control = shared.remember("control contrasts", lambda: _contrasts(shared.control, shared))
    value, interval = closeness(_contrasts(subject, shared), control, shared.spec.confidence)
    few = row.n_patients < MIN_PATIENTS_FOR_INFERENCE
    return replace(
        row, value=value, ci_low=interval.low, ci_high=interval.high, ci_method=interval.method, floor=0.0,
        status="descriptive" if few else "ok", note=VERDICT if interval.ends()[0] > 0 else "",
    )  # fmt: skip


def _identity(subject: PreparedSet, shared: ReferenceCache) -> tuple[tuple[str, str], ...]:
    return identity(
        metric=METRIC, definition="mean (b-a)/(b+a) to nearest train and test patient, less exchanges, less control",
        encoder=shared.encoder, **{f"encoder.{name}": text for name, text in shared.encoder_identity},
        **{f"{name}_content": text for name, text in shared.content.items()},
        control_content=shared.control.features.content_id, n_synthetic=len(subject.points),
    )  # fmt: skip
