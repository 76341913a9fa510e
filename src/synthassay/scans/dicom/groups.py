"""Functional groups: where enhanced multi-frame files say per frame what others say once."""

from typing import Any

KEYWORDS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
TAGS = (0x52009230, 0x52009229)  # of the same two


def functional(dataset: Any, index: int, sequence: str) -> Any | None:
    """The item of an enhanced file's functional group for one frame: its own, else the shared one, else None."""
    if dataset.keys().isdisjoint(TAGS):  # most files
        return None
    own, shared = (dataset.get(keyword) for keyword in KEYWORDS)
    for groups in ([own[index]] if own and index < len(own) else [], shared or []):
        for group in groups:
            if group.get(sequence):
                return group.get(sequence)[0]
    return None
