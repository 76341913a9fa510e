"""Shares as whole rows, in an order that any prefix keeps."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synthassay.seeding import numpy_generator


def apportion(shares: NDArray[np.float64], n: int, seed: int) -> NDArray[np.int64]:
    """``n`` indices into ``shares`` (which add up to 1), whose every prefix follows the shares.

    The index furthest behind its share comes next, so that every prefix is in proportion to within about one row an
    index (the largest-deficit method of apportionment). ``seed`` decides ties.
    """
    order = numpy_generator("condition-plan", seed).permutation(len(shares))
    shares = shares[order]
    owed = np.zeros(len(shares))
    chosen = np.empty(n, np.int64)
    for i in range(n):
        owed += shares
        chosen[i] = np.argmax(owed)
        owed[chosen[i]] -= 1.0
    return order[chosen]


def rows_in_turn(members: Sequence[NDArray[np.int64]], chosen: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """For each of ``chosen`` a row of ``members[chosen[i]]``: the rows of each in an order of its own, over and over.

    The order is drawn from ``seed``, and row i depends on the choices up to i only.
    """
    rows = np.empty(len(chosen), np.int64)
    for number, own in enumerate(members):
        places = np.flatnonzero(chosen == number)
        if len(places):
            rows[places] = np.resize(numpy_generator("condition-rows", seed, number).permutation(own), len(places))
    return rows
