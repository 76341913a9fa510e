"""Which images make up step t: a pure function of (arm, seed, t), so that a resumed run draws what it would have."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synthassay.seeding import numpy_generator


def shares(total: int, share: float) -> int:
    """How many of the first ``total`` draws fall to a party of ``share``: the difference of two calls is a quota.

    The small constant keeps a product such as 0.3 * 10 from rounding down.
    """
    return int(np.floor(total * share + 1e-9))


@dataclass(frozen=True)
class Shuffled:
    """An endless walk through ``rows``: every row once per epoch, each epoch in its own order."""

    rows: NDArray[np.int64]
    key: tuple[str | int, ...]
    _orders: dict[int, NDArray[np.int64]] = field(default_factory=dict, repr=False)

    def between(self, start: int, stop: int) -> NDArray[np.int64]:
        """The rows of draws ``start`` to ``stop`` (exclusive)."""
        positions = np.arange(start, stop)
        epochs, places = np.divmod(positions, len(self.rows))
        return np.array([self._order(int(e))[p] for e, p in zip(epochs, places, strict=True)], np.int64)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._orders:
            if len(self._orders) > 2:  # a walk looks at one epoch, or at two where they meet
                self._orders.clear()
            self._orders[epoch] = numpy_generator(*self.key, epoch).permutation(self.rows)
        return self._orders[epoch]


@dataclass(frozen=True)
class BatchPlan:
    """Batches of ``size`` in which the positive class has its share to one image, over all steps so far.

    ``pools[source][label]`` are row numbers; ``source_shares`` say how often each source is drawn, within each class.
    Arms of equal prevalence and batch size therefore see the same sequence of labels.
    """

    pools: Sequence[tuple[Shuffled, Shuffled]]
    source_shares: tuple[float, ...]
    prevalence: float
    size: int

    def batch(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Row numbers ``[size]`` and labels ``[size]`` (0 or 1) of step ``step``; negatives come first."""
        rows, labels = [], []
        starts, stops = self._class_draws(step), self._class_draws(step + 1)
        for label in (0, 1):
            for source, pool in enumerate(self.pools):
                start, stop = self._source_draws(starts[label], source), self._source_draws(stops[label], source)
                rows.append(pool[label].between(start, stop))
            labels.append(np.full(stops[label] - starts[label], label, np.float32))
        return np.concatenate(rows), np.concatenate(labels)

    def _class_draws(self, step: int) -> tuple[int, int]:
        positives = shares(step * self.size, self.prevalence)
        return step * self.size - positives, positives

    def _source_draws(self, draws: int, source: int) -> int:
        """Of the first ``draws`` of a class, those from ``source``; the sources' counts sum to ``draws``."""
        below = shares(draws, sum(self.source_shares[:source]))
        above = draws if source == len(self.pools) - 1 else shares(draws, sum(self.source_shares[: source + 1]))
        return above - below


def batch_plan(
    pools: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    source_shares: tuple[float, ...],
    prevalence: float,
    size: int,
    seed: int,
) -> BatchPlan:
    """A plan over ``pools``, one (rows without, rows with the finding) for each source."""
    walks = [
        (Shuffled(pool[0], ("downstream", "order", seed, s, 0)), Shuffled(pool[1], ("downstream", "order", seed, s, 1)))
        for s, pool in enumerate(pools)
    ]
    return BatchPlan(walks, source_shares, prevalence, size)
