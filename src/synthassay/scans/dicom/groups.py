"""Functional groups: where enhanced multi-frame files say per frame what others say once."""

from typing import Any

from pydicom.tag import BaseTag, Tag

from synthassay.scans.dicom.attributes import tag_of

TAGS = (Tag(0x52009230), Tag(0x52009229))  # Per-Frame and Shared Functional Groups Sequence


def functional(dataset: Any, index: int, sequence: str) -> Any | None:
    """The item of an enhanced file's functional group for one frame: its own, else the shared one, else None."""
    if dataset.keys().isdisjoint(TAGS):  # most files
        return None
    own, shared = (_items(dataset, tag) for tag in TAGS)
    tag = tag_of(sequence)
    for groups in ([own[index]] if index < len(own) else [], shared):
        for group in groups:
            if items := _items(group, tag):
                return items[0]
    return None


def _items(dataset: Any, tag: BaseTag | None) -> Any:
    # The keys are asked first: most groups are absent, and the dataset itself takes long to say so.
    present = dataset.keys()
    return (tag in present and dataset[tag].value) or ()
