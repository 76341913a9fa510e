"""Items of an external set → pixels, each in a process that it cannot take the run down with."""

import importlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthassay.errors import UserError
from synthassay.generators.external.fitting import Wanted, fitted
from synthassay.generators.external.items import Item
from synthassay.generators.external.readers import read_planes
from synthassay.generators.external.specs import ExternalSpec
from synthassay.records import ImageSet, Progress, Quarantined
from synthassay.scans.pool import Pool, explained, worker_count
from synthassay.scans.unreadable import Unreadable
from synthassay.seeding import numpy_generator
from synthassay.specs import Resources

Answer = NDArray[Any] | Unreadable | UserError  # [k, c, (d,) h, w]


def read_items(
    root: Path, items: Sequence[Item], spec: ExternalSpec, like: ImageSet, policy: Mapping[str, Any],
    resources: Resources, progress: Progress,
) -> tuple[dict[int, NDArray[Any]], list[Quarantined]]:  # fmt: skip
    """Images ``[k, c, (d,) h, w]`` in the shape and dtype of ``like`` by the number of their item, and what has none.

    With ``spec.images`` they are at most so many, whatever the number of processes. Raises :class:`UserError` for an
    image that does not fit.
    """
    reader = _Reader(root, spec, Wanted(like.pixels.shape[1:], like.pixels.dtype), dict(policy))
    pool = Pool(reader, worker_count(resources), spec.limits)
    read: dict[int, NDArray[Any]] = {}
    refused: list[Quarantined] = []
    left, order = spec.images, _order(len(items), spec.images)
    progress.start(f"read {spec.name}", len(items) if left is None else left)
    while order and left != 0:
        lot, order = _lot(items, order, left)
        with closing(_in_order(pool.answers([items[number] for number in lot]))) as answers:
            for number, answer in zip(lot, answers, strict=True):
                if isinstance(answer, UserError):
                    raise answer
                if isinstance(answer, Unreadable):
                    refused.append(answer.row(items[number].path))
                else:
                    read[number] = answer[:left]
                if left is None:
                    progress.advance()
                elif number in read:
                    progress.advance(len(read[number]))
                    left -= len(read[number])
                if left == 0:
                    break
    progress.finish()
    return read, refused


def _order(count: int, limit: int | None) -> list[int]:
    """A limited set is drawn from all items, since folders are often sorted by class."""
    if limit is None:
        return list(range(count))
    drawn: list[int] = numpy_generator("external", "draw").permutation(count).tolist()
    return drawn


def _lot(items: Sequence[Item], order: list[int], left: int | None) -> tuple[list[int], list[int]]:
    """The items to read next, since none holds less than one image, and the others.

    Rows of array files are read in their order, which inflates each file once.
    """
    lot, later = order[:left], order[len(order[:left]) :]
    return (sorted(lot) if all(items[number].single for number in lot) else lot), later


def _in_order(answers: Iterable[tuple[int, Answer]]) -> Generator[Answer]:
    """Answers in the order of their items, so that no result depends on which process was faster."""
    waiting: dict[int, Answer] = {}
    following = 0
    for index, answer in answers:
        waiting[index] = answer
        while following in waiting:
            yield waiting.pop(following)
            following += 1


@dataclass(frozen=True, slots=True)
class _Reader:
    root: Path
    spec: ExternalSpec
    wanted: Wanted
    policy: dict[str, Any]

    def warm_up(self) -> None:
        """Import what volumes are resampled and cropped with, which takes seconds."""
        moved = self.policy.get("spacing_mm") is not None or self.policy.get("oblique") == "resample"
        if self.spec.resize and (moved or len(self.wanted.shape) == 4):
            importlib.import_module("monai.transforms")

    def __call__(self, item: Item) -> Answer:
        try:
            planes = read_planes(self.root, item, self.spec, self.policy)
            return np.stack([fitted(plane, item.path, self.spec, self.wanted, self.policy) for plane in planes])
        except UserError as error:  # raised in its turn: which file is found first must not depend on speed
            return error
        except BaseException as error:
            return explained(error)
