"""Can a place be told from pixels? If so, whatever goes with the place can be learnt in its stead.

A ridge regression on a few features of each image, cross-validated so that no patient is on both sides. The same
regression learns places that were shuffled between patients: what it reaches by these is chance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from synthassay.card import CardRow
from synthassay.metrics.card.drift import OTHERS
from synthassay.metrics.card.pixels import PixelFacts
from synthassay.metrics.card.subject import FEWEST_PATIENTS, Subject, absent, too_few, valued
from synthassay.metrics.classification import auroc
from synthassay.metrics.intervals import cluster_bootstrap, share_interval, unit_codes
from synthassay.records import MISSING
from synthassay.seeding import numpy_generator

FOLDS = 5
SHUFFLES = 200
REPLICATES = 500
MOST_PLACES = 12
BLOCK = 1 << 23  # values of targets at once: 64 MiB in float64
SHARED = f"fewer than {FEWEST_PATIENTS} of its patients count here: the others were seen at another place before"
PENALTY = 0.01  # of standardised features, for each image


def shortcut_rows(subject: Subject, facts: PixelFacts, seed: int) -> Iterator[CardRow]:
    """For each column: the AUROC of each place against the others, and their mean (``group="all"``).

    Intervals resample patients and keep the models as they are. The floor is the mean over 200 shuffles, with the range
    of the middle 95%. With two places one comparison says it all.
    """
    for column, everywhere in subject.places():
        values = everywhere[facts.rows]
        sizes = {name: subject.patients(facts.rows[values == name]) for name in np.unique(values[values != MISSING])}
        frame = CardRow(topic="shortcut", quantity=column, statistic="auroc")
        large = sorted((name for name in sizes if not too_few(sizes[name])), key=lambda name: (-sizes[name], name))
        compared = large[:MOST_PLACES]
        names = sorted(_with_homes(compared, values, subject.units[facts.rows]))
        for name in sorted(sizes.keys() - set(names)):
            reason = too_few(sizes[name]) or (SHARED if name in compared else
                                              f"not among the {MOST_PLACES} with the most patients")  # fmt: skip
            yield absent(replace(frame, group=f"{column}={name}", n_patients=sizes[name]), reason)
        if len(names) < 2:
            found = f"only one {column} has" if names else f"no {column} has"
            alone = " who count there" if len(compared) > 1 else ""
            note = f"{found} {FEWEST_PATIENTS} patients or more{alone}, and two are needed"
            yield replace(frame, status="insufficient evidence", note=note, n_patients=max(sizes.values()))
            continue
        yield from _told(subject, facts, values, names, frame, seed)


def _with_homes(names: list[str], values: NDArray[np.str_], units: NDArray[np.int64]) -> list[str]:
    """Those of ``names`` that enough patients count at, where one who was seen at several counts at the first."""
    known = np.isin(values, names)
    homes = values[known][np.unique(units[known], return_index=True)[1]]
    left = [name for name in names if not too_few(int((homes == name).sum()))]
    return left if left == names else _with_homes(left, values, units)


def _told(
    subject: Subject, facts: PixelFacts, values: NDArray[np.str_], names: list[str], frame: CardRow, seed: int
) -> Iterator[CardRow]:
    known = np.isin(values, names)
    place = np.searchsorted(names, values[known])
    units = unit_codes(subject.units[facts.rows][known])
    home = place[np.unique(units, return_index=True)[1]]  # [patients]; one seen at two places counts at the first
    rows = home[units] == place
    features, units, place = facts.features[known][rows], units[rows], place[rows]
    homes = _shuffled(home, seed)
    scores, reached = _judged(features, homes[:, units], len(names), units, seed)
    sizes, two = np.bincount(home), len(names) == 2
    for k, name in enumerate(names[: 1 if two else None]):
        one = replace(frame, group=f"{frame.quantity}={name}", n_images=int((place == k).sum()),
                      against=f"{frame.quantity}={names[1]}" if two else OTHERS,
                      n_patients=int(min(sizes[k], sizes.sum() - sizes[k])))  # fmt: skip
        yield _row(one, reached[:, [k]], scores[:, [k]], place[:, None] == k, units, seed)
    if not two:
        together = replace(frame, n_images=len(units), n_patients=int(sizes.min()))
        yield _row(together, reached, scores, place[:, None] == np.arange(len(names)), units, seed)


def _shuffled(home: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """``[shuffles + 1, patients]``: the true place of each patient, then places shuffled between patients."""
    draw = numpy_generator("card", "shuffles", seed)
    return np.stack([home, *(draw.permutation(home) for _ in range(SHUFFLES))])


def _judged(
    features: NDArray[np.float64], places: NDArray[np.int64], count: int, units: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Scores of the true run ``[n, count]``, and the AUROC of each run and place ``[runs, count]``.

    ``places``: ``[runs, n]``. Many runs are targets of one regression, which costs hardly more than one of them.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    halves = list(folds.split(features, places[0], units))
    step = max(1, BLOCK // (len(units) * count))
    first, reached = np.empty((len(units), count), np.float32), []
    for start in range(0, len(places), step):
        some = places[start : start + step]
        scores = _out_of_fold(features, some, count, halves)
        first = scores[0] if start == 0 else first
        pairs = zip(scores, some, strict=True)
        reached += [[auroc(run[:, k], truth == k) for k in range(count)] for run, truth in pairs]
    return first, np.array(reached)


def _out_of_fold(
    features: NDArray[np.float64], places: NDArray[np.int64], count: int,
    halves: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> NDArray[np.float32]:  # fmt: skip
    """``[runs, n, count]``: how much each image looks like each place to a model that has not seen its patient."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = np.empty((*places.shape, count), np.float32)
    for train, test in halves:
        targets = (places[:, train, None] == np.arange(count)).transpose(1, 0, 2).reshape(len(train), -1)
        model = make_pipeline(StandardScaler(), Ridge(alpha=PENALTY * len(train)))
        predicted = model.fit(features[train], targets.astype(np.float64)).predict(features[test])
        scores[:, test] = predicted.reshape(len(test), len(places), count).transpose(1, 0, 2)
    return scores


def _row(
    frame: CardRow, reached: NDArray[np.float64], scores: NDArray[np.float32], truth: NDArray[np.bool_],
    units: NDArray[np.int64], seed: int,
) -> CardRow:  # fmt: skip
    """``reached``: AUROC by run and place, the true run first; ``scores``, ``truth``: ``[n, places]``."""

    def mean_auroc(rows: NDArray[np.int64]) -> float:
        return float(np.mean([auroc(scores[rows, k], truth[rows, k]) for k in range(scores.shape[1])]))

    draw = numpy_generator("card", "bootstrap", seed, frame.quantity, frame.group)
    interval = cluster_bootstrap(mean_auroc, units, generator=draw, replicates=REPLICATES, method="percentile")
    value, chance = float(reached[0].mean()), reached[1:].mean(1)
    interval = share_interval(value, interval, frame.n_patients)  # places that never overlap are not known to be so
    low, high = np.quantile(chance, [0.025, 0.975])
    row = valued(frame, value, interval.low, interval.high, interval.method)
    return replace(row, floor=float(chance.mean()), floor_ci_low=float(low), floor_ci_high=float(high),
                   note=interval.note)  # fmt: skip
