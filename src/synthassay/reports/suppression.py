"""Cells of few patients, and which further cells must be withheld with them.

Cells that would give the small ones away when taken from a total are withheld too (Hundepool et al., Statistical
Disclosure Control, 2012, chapter 4: primary and secondary suppression).
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

MIN_PUBLISHED_PATIENTS = 11  # cells of fewer patients are withheld, as statistical offices and EMA's 0.09 rule do
MIN_WITHHELD_CELLS = 2  # of a column; one alone is the total less the others
FEW = f"fewer than {MIN_PUBLISHED_PATIENTS} patients"
WITHHELD = f"not published: {FEW}, here or in what this would give away"
_Named = TypeVar("_Named", bound=Hashable)


def few(patients: int | None) -> bool:
    """Whether this many patients are too few to publish; nobody at all is not."""
    return patients is not None and 0 < patients < MIN_PUBLISHED_PATIENTS


def suppressed(sizes: Mapping[_Named, int], small: Iterable[_Named]) -> set[_Named]:
    """``small`` and, if there is any, the next smallest cells until 2 cells and 11 patients are hidden."""
    chosen = set(small)
    if not chosen:
        return chosen
    for cell in sorted((cell for cell in sizes if cell not in chosen), key=lambda cell: sizes[cell]):
        patients = sum(sizes[other] for other in chosen)
        if len(chosen) >= MIN_WITHHELD_CELLS and patients >= MIN_PUBLISHED_PATIENTS:
            break
        chosen.add(cell)
    return chosen
